"""Tiny models of images, under the names that transformers has for a ViT and torchvision for a ResNet."""

import torch
from torch import Tensor, nn


class SelfAttention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        scores = self.query(x) @ self.key(x).transpose(-1, -2) / x.shape[-1] ** 0.5
        return torch.softmax(scores, dim=-1) @ self.value(x)


class Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = SelfAttention(width)
        self.output = nn.Sequential()
        self.output.add_module("dense", nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.attention(x))


class Layer(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.attention = Attention(width)
        self.intermediate, self.output = nn.Sequential(), nn.Sequential()
        self.intermediate.add_module("dense", nn.Linear(width, hidden))
        self.output.add_module("dense", nn.Linear(hidden, width))
        self.layernorm_before, self.layernorm_after = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.layernorm_before(x))
        return x + self.output(nn.functional.gelu(self.intermediate(self.layernorm_after(x))))


class Patches(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.projection = nn.Conv2d(3, width, 4, stride=4)

    def forward(self, image: Tensor) -> Tensor:
        return self.projection(image).flatten(2).transpose(1, 2)


class Embeddings(nn.Module):
    def __init__(self, width: int, patches: int) -> None:
        super().__init__()
        self.patch_embeddings = Patches(width)
        self.position_embeddings = nn.Parameter(torch.randn(1, patches, width))

    def forward(self, image: Tensor) -> Tensor:
        return self.patch_embeddings(image) + self.position_embeddings


class Encoder(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(width, hidden) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layer:
            x = layer(x)
        return x


class Tower(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.embeddings = Embeddings(width, 16)
        self.encoder = Encoder(width, hidden)
        self.layernorm = nn.LayerNorm(width)

    def forward(self, image: Tensor) -> Tensor:
        return self.layernorm(self.encoder(self.embeddings(image)))


class Vit(nn.Module):
    """Images (batch, 3, 16, 16) to logits (batch, 5)."""

    def __init__(self) -> None:
        super().__init__()
        self.vit = Tower(16, 32)
        self.classifier = nn.Linear(16, 5)

    def forward(self, image: Tensor) -> Tensor:
        return self.classifier(self.vit(image)[:, 0])


class Bottleneck(nn.Module):
    def __init__(self, into: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(into, width, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.conv3 = nn.Conv2d(width, 2 * width, 1, bias=False)
        self.bn1, self.bn2, self.bn3 = nn.BatchNorm2d(width), nn.BatchNorm2d(width), nn.BatchNorm2d(2 * width)
        self.downsample = nn.Sequential(nn.Conv2d(into, 2 * width, 1, bias=False), nn.BatchNorm2d(2 * width))

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))
        return torch.relu(self.bn3(self.conv3(inner)) + self.downsample(x))


class Resnet(nn.Module):
    """Images (batch, 3, 16, 16) to logits (batch, 5)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(Bottleneck(8, 8), Bottleneck(16, 8))
        self.fc = nn.Linear(16, 5)

    def forward(self, image: Tensor) -> Tensor:
        x = self.layer1(torch.relu(self.bn1(self.conv1(image))))
        return self.fc(x.mean(dim=(2, 3)))


MODELS = {"vit": Vit, "cnn": Resnet}
