#!/usr/bin/env python3
"""Writes assets/digits.safetensors from scikit-learn 1.9's copy of the digits. Run in the repository's root."""
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits

digits = load_digits()
pixels = torch.from_numpy(digits.images).to(torch.uint8)[:, None]  # [1797, 1, 8, 8], 0 to 16
save_file({"pixels": pixels.contiguous(), "labels": torch.from_numpy(digits.target).to(torch.uint8)},
          "assets/digits.safetensors")
