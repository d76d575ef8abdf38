//! `cbam-view` as a browser asks it, and as somebody else does. The page itself is tested in a browser (tests/web).

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{file, program, send};

/// How long to wait for what does not wait for a map that is being made, nor for connections that are open.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program, serving.
struct View {
    child: Child,
    host: String,
    /// The path of the page.
    page: String,
}

/// An answer: its status, its head and its body.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl View {
    fn new(arguments: &[&str]) -> Self {
        let mut command = program("cbam-view");
        command.args(["--no-browser", "--threads", "2", "--device", "cpu"]).args(arguments).current_dir(file(""));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("cbam-view: http://").unwrap_or_else(|| panic!("{line:?}"));
        let (host, path) = address.split_once('/').unwrap();
        let (host, page) = (host.to_owned(), format!("/{path}"));
        Self { child, host, page }
    }

    /// Sends what begins with these lines; `Host` and `Origin` are the page's own where they are not named.
    fn ask(&self, first: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let named = |name: &str| headers.iter().any(|header| header.starts_with(name));
        let origin = format!("http://{}", self.host);
        let own = [("Host", &*self.host), ("Origin", &origin)].map(|(name, value)| format!("{name}: {value}"));
        // An empty value: not sent at all.
        let given = headers.iter().filter(|header| !header.ends_with(": ")).map(|header| (*header).to_owned());
        let mut lines = vec![format!("{first} HTTP/1.1"), "Connection: close".to_owned()];
        lines.extend(own.into_iter().filter(|line| !named(line.split(':').next().unwrap_or_default())).chain(given));
        if !named("Content-Length") && !named("Transfer-Encoding") {
            lines.push(format!("Content-Length: {}", body.len()));
        }
        stream.write_all(format!("{}\r\n\r\n", lines.join("\r\n")).as_bytes()).unwrap();
        // It may be refused before all of it is read.
        let sent = stream.write_all(body);
        assert!(sent.is_ok() || body.len() > 1 << 20, "{sent:?}");
        let mut bytes = Vec::new();
        if let Err(error) = stream.read_to_end(&mut bytes) {
            assert!(error.kind() == ErrorKind::ConnectionReset && !bytes.is_empty(), "{first}: {error}");
        }
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{first}: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {}{path}", self.page), &[], b"")
    }

    fn look(&self, query: &str, photo: &[u8]) -> Answer {
        self.ask(&format!("POST {}look?{query}", self.page), &[], photo)
    }

    /// Asks it to end: the exit status, and how long that took.
    fn end(mut self) -> (Option<i32>, Duration) {
        let begun = Instant::now();
        send(&self.child, "-INT");
        (self.child.wait().unwrap().code(), begun.elapsed())
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }
}

fn photo(name: &str) -> Vec<u8> {
    std::fs::read(file("assets/images").join(name)).unwrap()
}

#[test]
fn any_network_and_any_map_are_behind_the_page() {
    let small = "tests/golden/graph/small.pt2";
    let view =
        View::new(&["assets/images/coffee.jpg", "--weights", small, "--size", "64", "--map", "layercam:cbam.ca"]);
    let page = view.get("");
    assert!(page.body.contains("\"served\":true") && page.head.contains("content-type: text/html"), "{}", page.head);
    for header in ["cache-control: no-store", "frame-ancestors 'none'", "x-content-type-options: nosniff"] {
        assert!(page.head.contains(header), "{header}");
    }
    let network = view.get("network").json();
    assert_eq!(network["photos"][0], "assets/images/coffee.jpg");
    let words: Vec<_> = network["head"]["command"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(words.join(" "), format!("cbam-run --size 64 --weights {small} --device cpu --threads 2"));
    assert_eq!(network["head"]["look"]["maps"][0], "layercam:cbam.ca");
    let choices: Vec<_> = network["about"]["choices"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(choices.contains(&"gradcam:down") && choices.contains(&"rise"), "{choices:?}");

    let whole = view.look("photo=0", b"").json();
    let sent =
        view.look("name=mine.jpg&options=%7B%22maps%22:[%22scorecam:down%22],%22class%22:2%7D", &photo("coffee.jpg"));
    let (whole, sent) = (&whole["picture"], &sent.json()["picture"]);
    assert_eq!(
        (&whole["network_size"], &whole["maps"][0]["name"]),
        (&sent["network_size"], &"layercam:cbam.ca".into())
    );
    assert_eq!((&sent["maps"][0]["name"], &sent["explained"]), (&"scorecam:down".into(), &2.into()));
    let output = program("cbam-run")
        .args(["assets/images/coffee.jpg", "--weights", small, "--size", "64", "--json", "-", "--quiet"])
        .args(["--device", "cpu", "--map", "layercam:cbam.ca"])
        .current_dir(file(""))
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(whole["likeliest"], report[0]["top"][0]["class"]);
    assert_eq!(view.end().0, Some(0));
}

#[test]
fn nobody_else_is_answered() {
    let view = View::new(&[]);
    let (page, look) = (view.page.clone(), format!("POST {}look?name=a.jpg", view.page));
    let asked = |first: &str, headers: &[&str]| view.ask(first, headers, b"");
    for (first, headers, status) in [
        (format!("GET {page}"), &["Host: example.org"][..], 421),
        (format!("GET {page}"), &["Host: 127.0.0.1.example.org"], 421),
        (format!("GET {page}"), &["Origin: http://example.org"], 403),
        (format!("GET {page}"), &["Origin: "], 200),
        (look.clone(), &["Origin: "], 403),
        (look.clone(), &["Origin: null"], 403),
        (look.clone(), &["Origin: http://localhost:1"], 403),
        (look.clone(), &["Host: example.org", "Origin: http://example.org"], 421),
        (look, &[], 422),
        ("GET /".to_owned(), &[], 403),
        ("GET /network".to_owned(), &[], 403),
        (format!("GET {}0/network", page.trim_end_matches('/')), &[], 403),
        (format!("GET {page}nothing"), &[], 404),
        (format!("GET {page}../../etc/passwd"), &[], 404),
        (format!("GET {page}look"), &[], 405),
        (format!("HEAD {page}"), &["Origin: "], 200),
        (format!("OPTIONS {page}look"), &["Origin: http://example.org"], 403),
    ] {
        let answer = asked(&first, headers);
        assert_eq!(answer.status, status, "{first} {headers:?}");
        assert!(status == 200 || answer.body.len() < 300 && !answer.body.contains(page.trim_matches('/')), "{first}");
        assert!(!answer.head.contains("access-control"), "{first}: {}", answer.head);
    }
    assert_eq!(asked(&format!("GET {}", page.trim_end_matches('/')), &[]).status, 303);
}

#[test]
fn what_is_sent_may_be_huge_or_broken() {
    // What is no file would hold up all else.
    let view = View::new(&["no such photo.jpg", "/dev/zero"]);
    assert_eq!(view.get("network").json()["photos"], serde_json::json!(["no such photo.jpg"]));
    let said = |query: &str, photo: &[u8]| {
        let answer = view.look(query, photo);
        assert!(answer.status >= 400, "{query}: {}", answer.body);
        answer.body
    };
    assert!(said("photo=0", b"").starts_with("no such photo.jpg: "));
    assert!(said("photo=1", b"").contains("no photo 1"));
    assert!(said("photo=-1", b"").contains("photo"));
    assert!(said("photo=0&name=x", b"").contains("one of them"));
    assert!(said("path=/etc/passwd", b"").contains("path"));
    assert!(said("name=x.jpg", b"no photo").starts_with("x.jpg: not a picture"));
    assert!(said("name=/etc/passwd", b"").starts_with("/etc/passwd: "), "a name, not a path");
    assert!(said("name=x.jpg&options=%7B%22size%22:3%7D", &photo("coffee.jpg")).contains("unknown field `size`"));
    assert!(said("name=x.jpg&options=%7B%22maps%22:[%22heat%22]%7D", &photo("coffee.jpg")).contains("heat"));
    assert!(said("name=x.jpg", &photo("coffee.jpg")[..60]).starts_with("x.jpg: "));
    let look = format!("POST {}look?name=x.jpg", view.page);
    let huge = view.ask(&look, &["Content-Length: 9999999999"], b"");
    assert!(huge.status == 413 && huge.body.contains("1073 MB"), "{}", huge.body);
    // One that breaks off, and one that never goes on.
    let begun = |length: &str| {
        let mut stream = TcpStream::connect(&view.host).unwrap();
        let head = format!("{look} HTTP/1.1\r\nHost: {0}\r\nOrigin: http://{0}\r\n{length}\r\n\r\n", view.host);
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(b"4\r\nabcd\r\n").unwrap();
        stream
    };
    begun("Content-Length: 100000").shutdown(Shutdown::Both).unwrap();
    let silent = [begun("Content-Length: 100000"), begun("Transfer-Encoding: chunked")];
    view.look("name=x.jpg", &photo("coffee.jpg")).json();
    let (code, took) = view.end();
    assert_eq!(code, Some(0));
    assert!(took < PATIENCE, "{took:?}, with connections that are open");
    drop(silent);
}

#[test]
fn it_ends_while_a_costly_map_is_made() {
    let view = View::new(&["--size", "448", "--masks", "100000"]);
    let mut stream = TcpStream::connect(&view.host).unwrap();
    let photo = photo("coffee.jpg");
    let options = "%7B%22maps%22:[%22rise%22]%7D";
    let head = format!(
        "POST {}look?name=x.jpg&options={options} HTTP/1.1\r\nHost: {1}\r\nOrigin: http://{1}\r\nContent-Length: {2}\r\n\r\n",
        view.page,
        view.host,
        photo.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&photo).unwrap();
    // Whoever asks goes away, and the next is answered, long before the map would be there.
    std::thread::sleep(Duration::from_millis(300));
    drop(stream);
    let begun = Instant::now();
    view.look("name=y.jpg&options=%7B%22short_side%22:64%7D", &photo).json();
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    let (code, took) = view.end();
    assert_eq!(code, Some(0));
    assert!(took < PATIENCE, "{took:?}");
}

#[test]
fn what_cannot_be_served_is_said_and_nothing_is() {
    let refused = |arguments: &[&str]| {
        let output = program("cbam-view").arg("--no-browser").args(arguments).current_dir(file("")).output().unwrap();
        assert!(output.stdout.is_empty());
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    assert!(refused(&["--port", &port]).contains(&format!("--port {port}: cannot be listened on")));
    assert!(refused(&["--weights", "none.pth"]).contains("none.pth"));
    assert!(refused(&["--map", "patch:stage1"]).contains("patch:stage1"));
    assert!(refused(&["--labels", "assets/images/truth.csv"]).contains("labels: "));
    assert!(refused(&["--size", "64", "--score", "logits"]).contains("--score"));
    assert!(refused(&["-"]).contains("standard input"));
}
