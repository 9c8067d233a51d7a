#!/usr/bin/env bash
# The baseline accuracies of README: default architectures, ReLU, seed 0. About half an hour on two cores.
# usage: scripts/baselines.sh MNIST_ROOT CIFAR_IMAGE_FOLDER
set -euo pipefail
mnist=${1:?usage: scripts/baselines.sh MNIST_ROOT CIFAR_IMAGE_FOLDER}
cifar=${2:?usage: scripts/baselines.sh MNIST_ROOT CIFAR_IMAGE_FOLDER}
actbench=$(cd "$(dirname "$0")/.." && pwd)/.venv/bin/actbench
for run in 'mlp 5' 'cnn 3' 'transformer 5'; do
  read -r architecture epochs <<< "$run"
  time "$actbench" train dataset=mnist dataset.root="$mnist" architecture="$architecture" training.epochs="$epochs"
done
time "$actbench" train dataset=image_folder dataset.root="$cifar" architecture=cnn training.epochs=10 training.augment=true
