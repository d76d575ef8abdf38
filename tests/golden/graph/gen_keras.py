#!/usr/bin/env python3
"""A small network of Keras as tf2onnx writes it, and what Keras makes of a picture in it: keras-SET.onnx and keras.safetensors.

    python3 -m venv .venv-keras && .venv-keras/bin/pip install -r scripts/keras_requirements.txt
    .venv-keras/bin/python tests/golden/graph/gen_keras.py

`input` is the picture `[N, 3, H, W]`, which Keras takes as `[N, H, W, 3]`; `gate.0` the gate of channels, `gate.1` that of positions,
both as `[N, C, H, W]`; `gradcam` Grad-CAM of the likeliest class at the layer `last`, by GradientTape.
"""

import os
import pathlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import tf2onnx  # noqa: E402
from keras import layers  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402

HERE = pathlib.Path(__file__).parent


def network():
    """Strides with SAME borders of odd sides, BatchNorm, squeeze-and-excitation, and spatial attention."""
    given = layers.Input((65, 90, 3), name="picture")
    x = layers.Conv2D(8, 3, 2, padding="same", use_bias=False, name="stem")(given)
    x = layers.BatchNormalization(name="stem_bn")(x)
    x = layers.Activation("swish", name="stem_act")(x)
    x = layers.MaxPooling2D(3, 2, padding="same", name="pool")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    squeezed = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    squeezed = layers.Conv2D(4, 1, activation="relu", name="reduce")(squeezed)
    channels = layers.Conv2D(8, 1, activation="sigmoid", name="excite")(squeezed)
    x = layers.Multiply(name="scale")([x, channels])
    mean, most = keras.ops.mean(x, -1, keepdims=True), keras.ops.max(x, -1, keepdims=True)
    places = layers.Conv2D(1, 5, padding="same", activation="sigmoid", name="spatial")(layers.Concatenate(name="pools")([mean, most]))
    x = layers.Multiply(name="gated")([x, places])
    x = layers.AveragePooling2D(3, 2, padding="same", name="smooth")(x)
    last = layers.Conv2D(12, 3, activation="relu", name="last")(x)
    x = layers.GlobalAveragePooling2D(name="head_pool")(last)
    return keras.Model(given, [layers.Dense(5, activation="softmax", name="classes")(x), channels, places, last])


def main():
    keras.utils.set_random_seed(7)
    model, draw = network(), np.random.default_rng(7)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([draw.uniform(0.8, 1.2, 8), draw.normal(0, 0.1, 8), draw.normal(0, 0.1, 8), draw.uniform(0.7, 1.3, 8)])
    pictures = draw.normal(size=(2, 65, 90, 3)).astype(np.float32)
    answers, channels, places, _ = model(pictures)
    head = keras.Model(model.get_layer("last").output, model.outputs[0])
    with tf.GradientTape() as tape:
        features = model(pictures[:1])[3]
        tape.watch(features)
        scores = head(features)
        index = int(tf.argmax(scores[0]))
        # Of a probability its logit is explained.
        score = tf.math.log(scores[0, index] / (1 - scores[0, index]))
    slope = tape.gradient(score, features)
    cam = tf.nn.relu(tf.reduce_sum(tf.reduce_mean(slope, (1, 2), keepdims=True) * features, -1))[0]
    turned = lambda of: np.ascontiguousarray(np.asarray(of).transpose(0, 3, 1, 2))
    tensors = {"input": turned(pictures), "output": np.asarray(answers), "gate.0": turned(channels), "gate.1": turned(places),
               "gradcam": np.asarray(cam)}
    save_file(tensors, HERE / "keras.safetensors", {"class": str(index)})
    alone = keras.Model(model.inputs, model.outputs[0])
    for version in (11, 13):
        signature = [tf.TensorSpec((None, 65, 90, 3), tf.float32, name="picture")]
        tf2onnx.convert.from_function(tf.function(lambda x: alone(x)), input_signature=signature, opset=version,
                                      output_path=HERE / f"keras-{version}.onnx")


if __name__ == "__main__":
    main()
