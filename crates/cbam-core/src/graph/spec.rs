//! Where each output stands in what a network returns, by PyTorch's description of that (`torch.utils._pytree`).

use serde_json::Value;

/// The longest description that is read, in bytes.
const LONGEST: usize = 1 << 20;

/// The names of `count` outputs, as Python writes them: `output`, `output[0]`, `output['aux']`. Where the description is missing or
/// says another number, they are counted.
pub(super) fn output_names(description: Option<&str>, count: usize) -> Vec<String> {
    let counted = || match count {
        1 => vec!["output".to_owned()],
        _ => (0..count).map(|place| format!("output[{place}]")).collect(),
    };
    let Some(description) = description.filter(|description| description.len() <= LONGEST) else { return counted() };
    let Ok(Value::Array(parts)) = serde_json::from_str(description) else { return counted() };
    let mut names = Vec::new();
    if let Some(tree) = parts.get(1) {
        walk(tree, "output", count, &mut names);
    }
    if names.len() == count { names } else { counted() }
}

fn walk(tree: &Value, name: &str, most: usize, names: &mut Vec<String>) {
    let class = &tree["type"];
    let Some(children) = tree["children_spec"].as_array().filter(|_| !class.is_null()) else {
        if names.len() <= most {
            names.push(name.to_owned());
        }
        return;
    };
    let keys = keys(&tree["context"]);
    for (place, child) in children.iter().enumerate() {
        let part = match keys.get(place) {
            Some(Value::String(key)) => format!("{name}[{key:?}]").replace('"', "'"),
            Some(key) if key.is_number() => format!("{name}[{key}]"),
            _ => format!("{name}[{place}]"),
        };
        walk(child, &part, most, names);
    }
}

/// The keys of a dictionary: its context, or a part of that.
fn keys(context: &Value) -> Vec<Value> {
    let parsed = context.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    match parsed.as_ref().unwrap_or(context) {
        Value::Array(keys) if keys.iter().all(|key| key.is_string() || key.is_number()) => keys.clone(),
        Value::Array(parts) => parts.iter().find_map(Value::as_array).cloned().unwrap_or_default(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_named_as_python_writes_them() {
        let leaf = r#"{"type":null,"context":null,"children_spec":[]}"#;
        let one = format!("[1,{leaf}]");
        assert_eq!(output_names(Some(&one), 1), ["output"]);
        let tuple = format!(r#"[1,{{"type":"builtins.tuple","context":"null","children_spec":[{leaf},{leaf}]}}]"#);
        assert_eq!(output_names(Some(&tuple), 2), ["output[0]", "output[1]"]);
        let dict = format!(
            r#"[1,{{"type":"collections.OrderedDict","context":"[\"out\",\"aux\"]","children_spec":[{leaf},{leaf}]}}]"#
        );
        assert_eq!(output_names(Some(&dict), 2), ["output['out']", "output['aux']"]);
        assert_eq!(output_names(Some(&dict), 3), ["output[0]", "output[1]", "output[2]"]);
        assert_eq!(output_names(Some("["), 1), ["output"]);
        assert_eq!(output_names(None, 1), ["output"]);
    }
}
