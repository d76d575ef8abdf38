//! What a `.pt2` archive of `torch.export` says of a picture, as safetensors: its outputs, its gates, its attention and Grad-CAM.
//!
//! `cargo run --release --example graph_answers -- net.pt2 picture.safetensors answers.safetensors [CLASS|auto [DEVICE]]`:
//! `picture` is the tensor `input`, `[N, 3, H, W]`, normalised; DEVICE is `cpu` or `cuda`. The last line that it prints is JSON.

use std::collections::BTreeMap;

use cbam::explain::{ExplainOptions, Method, explain};
use cbam::graph::{Graph, GraphNetwork, PlaceForm};
use cbam::model::Model;
use cbam::photo::Preprocess;
use cbam::sys::{DeviceSpec, resolve};
use cbam::tch::{Device, Tensor};
use cbam::{ToTensor, ndarray};
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [archive, picture, answers, ..] = &arguments[..] else {
        return Err("usage: graph_answers NET.pt2 PICTURE.safetensors ANSWERS.safetensors [CLASS|auto [DEVICE]]".into());
    };
    let input =
        Tensor::read_safetensors(picture)?.into_iter().find(|(name, _)| name == "input").ok_or("no tensor 'input'")?.1;
    let device = resolve(arguments.get(4).map_or(Ok(DeviceSpec::Cpu), |device| device.parse())?)?;
    let (graph, usual) = (Graph::open(archive)?, Preprocess::imagenet());
    let preprocess = Preprocess { short_side: graph.exported_side().unwrap_or(usual.short_side), ..usual };
    let network = GraphNetwork::new(graph, device, preprocess)?;
    let mut told = BTreeMap::new();
    for (output, made) in network.graph().outputs.iter().zip(network.forward(&input)?) {
        if let Some(made) = made {
            told.insert(output.name.clone(), made.to_device(Device::Cpu));
        }
    }
    for (index, readout) in network.run(&input)?.iter().enumerate() {
        for gate in &readout.gates {
            let name = |kind: &str| format!("{kind}:{}/{index}", gate.stage);
            if !gate.channel.is_empty() {
                told.insert(name("channel"), gate.channel.to_tensor()?);
            }
            for (kind, map) in [("spatial", &gate.spatial), ("coordinate", &gate.coordinate)] {
                if let Some(map) = map {
                    told.insert(name(kind), map.to_tensor()?);
                }
            }
        }
        for patch in &readout.patches {
            told.insert(format!("patch:{}/{index}", patch.stage), patch.received.to_tensor()?);
            if let Some(class_token) = &patch.class_token {
                told.insert(format!("cls:{}/{index}", patch.stage), class_token.to_tensor()?);
            }
        }
        if let Some(rollout) = &readout.rollout {
            told.insert(format!("rollout/{index}"), rollout.to_tensor()?);
        }
    }
    let found = network.found();
    let place = found.default_place.map(|place| &found.places[place]);
    let mut class = None;
    if let (Some(classes), Some(_), Some(wanted)) = (&found.classes, place, arguments.get(3)) {
        let numbers = network.forward(&input)?.swap_remove(classes.index).ok_or("no classes")?.get(0).flatten(0, -1);
        let likeliest = numbers.argmax(0, false).int64_value(&[]) as usize;
        let asked = if wanted == "auto" { likeliest } else { wanted.parse()? };
        // A network that gives out one number says by it how much speaks for class 1.
        let explained = if classes.numbers == 1 { 1 } else { asked };
        let shape: Vec<usize> = input.size()[1..].iter().map(|side| *side as usize).collect();
        let pixels = Vec::<f32>::try_from(input.get(0).flatten(0, -1))?;
        let pixels = ndarray::Array3::from_shape_vec((shape[0], shape[1], shape[2]), pixels)?;
        let options = ExplainOptions::default();
        let map = explain(&network, pixels.view(), Method::GradCam, None, explained, &options, &mut |_, _| true)?;
        told.insert("gradcam".to_owned(), map.to_tensor()?);
        class = Some(asked);
    }
    let form = place.map(|place| match place.form {
        PlaceForm::Maps => json!({"kind": "maps"}),
        PlaceForm::ChannelsLast => json!({"kind": "channels last"}),
        PlaceForm::Tokens { before, grid, .. } => json!({"kind": "tokens", "before": before, "grid": grid}),
    });
    let about = json!({
        "nodes": network.graph().nodes.len(),
        "place": place.map(|place| &place.name),
        "place_value": place.map(|place| &network.graph().about(place.value).name),
        "form": form,
        "classes": found.classes.as_ref().map(|classes| classes.index),
        "class": class,
        "outputs": network.describe().outputs.to_string(),
        "left_out": found.left_out.iter().map(|(module, _)| module).collect::<Vec<_>>(),
    });
    let maps: Vec<_> = network.describe().maps.iter().map(ToString::to_string).collect();
    println!("{}\n{about}", maps.join(" "));
    let told: Vec<_> = told.into_iter().map(|(name, tensor)| (name, tensor.contiguous())).collect();
    Tensor::write_safetensors(&told, answers)?;
    Ok(())
}
