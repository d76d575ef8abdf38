//! `cbam`: the light build, see [`cbam_cli::light`].

fn main() {
    cbam_cli::light::main()
}
