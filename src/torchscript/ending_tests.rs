use super::*;

/// The ending of output 0, or of another, of a network with this forward.
fn ending(forward: &str, index: usize) -> Option<&'static str> {
    let lines: String = forward.lines().fold(String::new(), |text, line| text + "    " + line + "\n");
    let net = format!(
        "class Net(Module):\n  training : bool\n  fc : __torch__.torch.nn.Linear\n  drop : __torch__.torch.nn.Dropout\n  head : __torch__.Head\n  \
         __annotations__[\"1\"] = __torch__.torch.nn.Softmax\n  def forward(self: __torch__.Net,\n    x: Tensor) -> Tensor:\n{lines}\
         class Head(Module):\n  act : __torch__.torch.nn.Sigmoid\n  def forward(this: __torch__.Head, x: Tensor) -> Tensor:\n    \
         act = this.act\n    return ((act).forward(x, ), x)\n"
    );
    let method = |class: &str, value: &str| {
        format!(
            "class {class}(Module):\n  def forward(self: __torch__.torch.nn.{class},\n    x: Tensor) -> Tensor:\n    return {value}\n"
        )
    };
    let leaves = [
        method("Linear", "torch.linear(x, weight, bias)"),
        method("Softmax", "torch.softmax(x, 1)"),
        method("Sigmoid", "torch.sigmoid(x)"),
        method("Dropout", "__torch__.torch.nn.functional.dropout(x, 0.5, training, False)"),
    ];
    let modules = [("__torch__".to_owned(), net), ("__torch__.torch.nn".to_owned(), leaves.concat())];
    let code = Code { modules: modules.into(), top: ("__torch__".into(), "Net".into()) };
    code.ending(index)
}

#[test]
fn the_last_operation_is_followed_through_modules_and_variables() {
    for (forward, expected) in [
        ("fc = self.fc\nreturn (fc).forward(torch.mean(x, [2, 3]), )", Some("linear")),
        ("fc = self.fc\n_0 = (fc).forward(x, )\nreturn torch.squeeze(torch.sigmoid(_0), 1)", Some("sigmoid")),
        ("_1 = getattr(self, \"1\")\nreturn (_1).forward(x, )", Some("softmax")),
        ("softmax = __torch__.torch.nn.functional.softmax\n_0 = softmax(x, 1, 3, None)\nreturn _0", Some("softmax")),
        ("return torch.log_softmax(x, 1)", Some("log_softmax")),
        ("_0 = (torch.sigmoid(x), torch.mul(x, 2))\nreturn _0", Some("sigmoid")),
        ("_0 = {\"a,b\": torch.softmax(x, -1), \"map\": torch.mean(x, [1])}\nreturn _0", Some("softmax")),
        ("head = self.head\nreturn (head).forward(x, )", Some("sigmoid")),
        ("head = self.head\n_0 = (head).forward(x, )\ny, f, = _0\nreturn (y, f)", Some("sigmoid")),
        ("if training:\n  y = torch.sigmoid(x)\nelse:\n  y = torch.linear(x, w)\nreturn y", None),
        ("if training:\n  y = torch.sigmoid(x)\nelse:\n  y = torch.sigmoid_(x)\nreturn y", Some("sigmoid")),
        ("drop = self.drop\nfc = self.fc\nreturn (drop).forward((fc).forward(x, ), )", Some("linear")),
        ("drop = self.drop\nreturn (drop).forward(x, )", None),
        ("head = self.head\nreturn ((head).forward(x, ))[0]", Some("sigmoid")),
        ("_0 = (torch.exp(x), torch.sigmoid(x))\nreturn _0[1]", Some("sigmoid")),
        ("y = torch.adaptive_avg_pool2d(torch.sigmoid(x), [1, 1])\nreturn torch.flatten(y, 1)", Some("sigmoid")),
        ("y = torch._convolution(x, w)\nreturn torch.mean(torch.softmax(y, 1), [2, 3])", Some("softmax")),
        (
            "y = torch.relu(torch.conv2d(x, w))\nreturn torch.flatten(torch.adaptive_avg_pool2d(y, [1, 1]), 1)",
            Some("relu"),
        ),
        ("return torch.adaptive_avg_pool2d(torch.conv2d(x, w), [1, 1])", Some("conv2d")),
        ("return torch.exp(x)", None),
        ("y = torch.view(y, [1])\nreturn y", None),
        ("return x", None),
    ] {
        assert_eq!(ending(forward, 0), expected, "{forward}");
    }
    assert_eq!(ending("return (torch.mul(x, 2), torch.sigmoid(x))", 1), Some("sigmoid"));
    assert_eq!(ending("head = self.head\nreturn (head).forward(x, )", 1), None);
}

#[test]
fn what_is_no_archive_tells_nothing() {
    assert_eq!(of(b"", 0), None);
    assert_eq!(of(b"PK\x03\x04nothing", 0), None);
    assert_eq!(
        first_class(b"\x80\x02c__torch__.___torch_mangle_6\nN\nq\x00"),
        Some(("__torch__.___torch_mangle_6".into(), "N".into()))
    );
}
