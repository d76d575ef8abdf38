#!/usr/bin/env python3
"""Networks of Keras through tf2onnx, run by this crate and by Keras, compared.

    keras_onnx.py [--answers PROGRAM] [--only PART …] [--results FILE] [--seconds 120] [--list]

Each network has random weights and BatchNorm statistics and is written to ONNX of an opset, which ONNX Runtime confirms; pictures lie as
Keras has them, [N, H, W, C], or [N, C, H, W] where the name ends in -nchw. Compared: outputs; gates with what the layers with a sigmoid
gave; attention with what Keras's layers tell; Grad-CAM with TensorFlow's gradients at the layer by which the place is named.
any_network.py asks, and prints the table. Needs a virtual environment with keras_requirements.txt:

    python3 -m venv .venv-keras && .venv-keras/bin/pip install -r scripts/keras_requirements.txt
"""

import os
import re
import sys
import tempfile
import time
import zlib

import any_network
import numpy as np

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "TF_ENABLE_ONEDNN_OPTS": "0"}
# By opset.
NAMES = {
    11: "classifier segmenter EfficientNetB0 NASNetMobile MobileNetV2-nchw",
    13: "classifier transformer MobileNetV2 ResNet50V2 InceptionV3 EfficientNetV2B0",
    17: "classifier segmenter transformer MobileNetV3Small DenseNet121 Xception ConvNeXtTiny MobileNetV2-nchw",
}
# Those whose output is probabilities; others give out scores.
SOFTMAX = ("MobileNetV2", "DenseNet121", "Xception")


def conv(x, width, name, stride=1):
    from keras import layers
    x = layers.Conv2D(width, 3, stride, "same", use_bias=False, name=f"{name}_conv")(x)
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_bn")(x))


def se(x, name):
    from keras import layers
    width = x.shape[-1]
    gate = layers.Dense(width // 4, "relu", name=f"{name}_squeeze")(layers.GlobalAveragePooling2D(name=f"{name}_mean")(x))
    gate = layers.Dense(width, "sigmoid", name=f"{name}_excite")(gate)
    return layers.Multiply(name=f"{name}_scale")([x, layers.Reshape((1, 1, width), name=f"{name}_reshape")(gate)])


def cbam(x, name):
    import keras
    from keras import layers

    class Pool(layers.Layer):
        """The mean and the maximum over the channels."""

        def call(self, x):
            return keras.ops.concatenate([keras.ops.mean(x, -1, keepdims=True), keras.ops.max(x, -1, keepdims=True)], -1)

    width = x.shape[-1]
    mlp = [layers.Dense(width // 4, "relu", name=f"{name}_mlp1"), layers.Dense(width, name=f"{name}_mlp2")]
    pools = [layers.GlobalAveragePooling2D(keepdims=True)(x), layers.GlobalMaxPooling2D(keepdims=True)(x)]
    gate = layers.Activation("sigmoid", name=f"{name}_channel")(layers.Add()([mlp[1](mlp[0](pool)) for pool in pools]))
    x = layers.Multiply(name=f"{name}_refined")([x, gate])
    gate = layers.Conv2D(1, 7, padding="same", activation="sigmoid", name=f"{name}_spatial")(Pool(name=f"{name}_pool")(x))
    return layers.Multiply(name=f"{name}_out")([x, gate])


def classifier():
    import keras
    from keras import layers
    picture = keras.Input((160, 160, 3))
    x = se(conv(conv(picture, 16, "stem", 2), 32, "one", 2), "se")
    low = layers.UpSampling2D(2, name="up")(conv(x, 32, "low", 2))
    x = cbam(conv(layers.Concatenate(name="join")([x, low]), 48, "two", 2), "cbam")
    x = layers.MaxPooling2D(3, 2, "same", name="maxpool")(layers.DepthwiseConv2D(3, 2, "same", name="depthwise")(x))
    return keras.Model(picture, layers.Dense(10, name="head")(layers.GlobalAveragePooling2D(name="mean")(x)))


def segmenter():
    import keras
    from keras import layers
    picture = keras.Input((128, 160, 3))
    a = conv(layers.Rescaling(0.5)(picture), 16, "a")
    b = conv(a, 24, "b", 2)
    x = layers.UpSampling2D(2, interpolation="bilinear", name="up1")(conv(b, 32, "c", 2))
    x = layers.Conv2DTranspose(16, 3, 2, "same", activation="swish", name="up2")(layers.Concatenate()([x, cbam(b, "skip2")]))
    x = layers.Concatenate()([layers.AveragePooling2D(3, 1, "same")(x), se(a, "skip1")])
    return keras.Model(picture, layers.Conv2D(4, 1, activation="softmax", name="head")(x))


def transformer():
    import keras
    from keras import layers
    picture = keras.Input((96, 96, 3))
    x = layers.Reshape((36, 48), name="tokens")(layers.Conv2D(48, 16, 16, name="patches")(picture))
    x = x + layers.Embedding(36, 48, name="positions")(keras.ops.arange(36))
    for block in ("first", "second"):
        y = layers.LayerNormalization(name=f"{block}_norm1")(x)
        x = x + layers.MultiHeadAttention(3, 16, name=f"{block}_attention", flash_attention=False)(y, y)
        y = layers.LayerNormalization(name=f"{block}_norm2")(x)
        x = x + layers.Dense(48, name=f"{block}_mlp2")(layers.Dense(96, "gelu", name=f"{block}_mlp1")(y))
    return keras.Model(picture, layers.Dense(10, name="head")(layers.GlobalAveragePooling1D(name="mean")(x)))


def build(name):
    """A network, without convolutions in groups, which Keras compiles and tf2onnx does not take."""
    import keras
    from keras import layers
    if name in globals():
        return globals()[name]()

    def depthwise(layer):
        if not isinstance(layer, layers.Conv2D) or layer.groups != layer.filters:
            return layer.__class__.from_config(layer.get_config())
        return layers.DepthwiseConv2D(layer.kernel_size, layer.strides, layer.padding, name=layer.name)

    model = getattr(keras.applications, name)(weights=None, classifier_activation="softmax" if name in SOFTMAX else None)
    return keras.models.clone_model(model, clone_function=depthwise) if name.startswith("ConvNeXt") else model


def randomise(model, draw):
    """Weights under which gates and BatchNorm matter."""
    for weight in model.weights:
        part, shape = weight.path.rsplit("/", 1)[-1], weight.shape
        if part in ("moving_variance", "gamma"):
            weight.assign(draw.uniform(0.7, 1.3, shape))
        elif part in ("moving_mean", "beta", "bias"):
            weight.assign(draw.normal(0, 0.1, shape))


def erfc(graph, node, _, __):
    """1 - erf(x), of exact GELU, which tf2onnx lacks."""
    node.type = "Erf"
    less = graph.insert_new_node_on_output("Neg", node.output[0]).output[0]
    graph.insert_new_node_on_output("Add", less, inputs=[less, graph.make_const(f"{node.name}_one", np.ones((), np.float32)).output[0]])


def gates(model, asked):
    """What may be a gate, [N, C] or [N, C, H, W]: numbers in [0, 1] of channels or of positions."""
    import keras
    found = [of.output for of in model.operations if len(getattr(of.output, "shape", ())) in (2, 4)]
    found = [of for of in found if len(of.shape) == 2 or of.shape[1:3] == (1, 1) or of.shape[3] == 1]
    given = [np.asarray(of) for of in keras.Model(model.input, found)(asked, training=False)] if found else []
    return [of.transpose(0, 3, 1, 2) if of.ndim == 4 else of for of in given if of.min() >= 0 and of.max() <= 1]


def attention(model, asked):
    """The weights of every attention, [N, heads, tokens, tokens]."""
    from keras.layers import MultiHeadAttention
    found, compute = [], MultiHeadAttention._compute_attention

    def record(self, query, key, value, *_, **__):
        out, weights = compute(self, query, key, value, return_attention_scores=True)
        found.append(np.asarray(weights))
        return out, weights

    MultiHeadAttention._compute_attention = record
    model(asked, training=False)
    MultiHeadAttention._compute_attention = compute
    return found


def tape_cams(model, asked, about, probabilities):
    """Grad-CAM of the first picture, of scores or log-odds, at the layers or operations by which the place is named; and the numbers."""
    import keras
    import tensorflow as tf
    parts = re.split("[/.:]", f"{about['place']}.{about['place_value']}".lower())
    # A graph appends _1 to the names of layers.
    layers = [layer for layer in model.operations if {layer.name.lower(), f"{layer.name.lower()}_1"} & set(parts)]
    scores, cams = np.asarray(model(asked, training=False))[0], []
    for layer in layers:
        with tf.GradientTape() as tape:
            features, output = keras.Model(model.input, [layer.output, model.output])(asked, training=False)
            score = output[0, about["class"]]
            score = tf.math.log(score / (1 - score)) if probabilities else score
        slope = tape.gradient(score, features)
        if slope is not None:
            form = {"kind": "channels last"} if features.shape.rank == 4 else about["form"]
            cams.append(any_network.cam(features[0].numpy(), slope[0].numpy(), form))
    return cams, scores


def one(name, answers, device):
    """One network: a row of the results."""
    import keras
    import onnxruntime
    import tensorflow as tf
    import tf2onnx
    tf.config.threading.set_intra_op_parallelism_threads(1)
    keras.utils.set_random_seed(zlib.crc32(name.encode()))
    draw = np.random.default_rng(zlib.crc32(name.encode()))
    start, row = time.monotonic(), {"name": name}
    network, opset = re.fullmatch(r"keras/(\w+)(?:-nchw)?@onnx(\d+)", name).groups()
    first = "-nchw" in name
    model = build(network)
    randomise(model, draw)
    height, width = (side or other for side, other in zip(model.input_shape[1:3], (224, 288)))
    row["free"] = "batch" if model.input_shape[1] else "sides"
    pictures = draw.normal(size=(2, 3, height, width)).astype(np.float32)
    asked = pictures.transpose(0, 2, 3, 1)
    own = np.asarray(model(asked, training=False))
    with tempfile.TemporaryDirectory() as folder:
        net = f"{folder}/net.onnx"
        tf2onnx.convert.from_keras(model, opset=int(opset), inputs_as_nchw=[model.input.name] if first else None, output_path=net,
                                   custom_op_handlers={"Erfc": (erfc, [])})
        row["export_s"] = round(time.monotonic() - start, 1)
        (output,) = any_network.confirm(net, [(pictures if first else asked, [own])])
        told, about = any_network.ask(answers, net, pictures, device)
    if told is None:
        return row | {"failed": about}
    any_network.compare(row, told, about, {output: own}, gates(model, asked), attention(model, asked), (height, width))
    if "failed" not in row and about["place_value"] and "gradcam" in told:
        any_network.compare_cams(row, *tape_cams(model, asked, about, network in SOFTMAX), told, about)
    row["seconds"] = round(time.monotonic() - start, 1)
    return row


def names():
    return [f"keras/{name}@onnx{opset}" for opset, line in NAMES.items() for name in line.split()]


if __name__ == "__main__":
    sys.exit(any_network.run(__file__, __doc__, {"onnx": names}, one))
