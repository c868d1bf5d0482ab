import pytest
import torch

from radvit.errors import ConfigError
from radvit.models.backbone import Backbone, BackboneSpec
from radvit.models.mae import (
    Drawn,
    MaeSpec,
    MaskedAutoencoder,
    blanked,
    draw_shown,
    drawing_loss,
    from_patches,
    repainted,
    standardised,
    to_patches,
)

SMALL = {"embed_dim": 32, "depth": 2, "num_heads": 2}
STEMMED = BackboneSpec("vit_tiny_patch16_224", 28, stem=(8, 16), patch_size=1, **SMALL)  # 7 x 7 tokens of 4 px
ROTARY = BackboneSpec("vit_small_patch16_dinov3", 64, **SMALL)  # 4 x 4 tokens, positions in the blocks
PLAIN = BackboneSpec("vit_tiny_patch16_224", 64, patch_size=16, **SMALL)  # 4 x 4 tokens
DECODER = MaeSpec(0.75, 16, 1, 2)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(spec: BackboneSpec, decoder: MaeSpec = DECODER) -> MaskedAutoencoder:
    torch.manual_seed(0)
    return MaskedAutoencoder(Backbone(spec), spec.image_size, spec.channels, decoder)


@pytest.mark.parametrize("spec", [STEMMED, PLAIN, ROTARY], ids=["stem", "plain", "rotary"])
@pytest.mark.parametrize("training", [False, True])
def test_hidden_pixels_do_not_reach_the_encoder(spec: BackboneSpec, training: bool) -> None:
    model = made(spec).train(training)
    images = torch.randn(3, 1, spec.image_size, spec.image_size, generator=generator())
    shown = draw_shown(3, model.side**2, model.shown, generator())
    noise = 50 * torch.randn(images.shape, generator=generator(1))
    other = torch.where(blanked(torch.ones_like(images), shown, model.backbone.stride) > 0, images, noise)
    assert not torch.equal(images, other)
    torch.testing.assert_close(model.encode(images, shown), model.encode(other, shown), rtol=0, atol=0)
    seen = torch.where(blanked(torch.ones_like(images), shown, model.backbone.stride) > 0, noise, images)
    assert not torch.allclose(model.encode(images, shown), model.encode(seen, shown))


@pytest.mark.parametrize("spec", [STEMMED, PLAIN, ROTARY], ids=["stem", "plain", "rotary"])
def test_an_encoder_shown_everything_sees_what_the_backbone_sees(spec: BackboneSpec) -> None:
    model = made(spec).eval()
    images = torch.randn(2, 1, spec.image_size, spec.image_size, generator=generator())
    every = torch.arange(model.side**2).expand(2, -1)
    encoded = model.encode(images, every)
    features = model.backbone(images)
    torch.testing.assert_close(encoded[:, 0], features.summary)
    torch.testing.assert_close(encoded[:, model.backbone.prefix :], features.tokens.flatten(2).transpose(1, 2))


def test_the_share_asked_for_is_hidden_in_each_image() -> None:
    drawn = made(STEMMED)(torch.zeros(5, 1, 28, 28), generator())
    assert drawn.patches.shape == drawn.target.shape == (5, 49, 16)
    assert drawn.hidden.sum(1).tolist() == [37] * 5  # 12 of 49 are shown
    assert len({tuple(row) for row in drawn.hidden.tolist()}) == 5


def test_the_generator_alone_says_what_is_hidden() -> None:
    first, again, other = (draw_shown(4, 16, 4, generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert all(len(set(row)) == 4 for row in first.tolist())


def test_a_patch_is_what_its_token_covers() -> None:
    image = torch.arange(64.0).view(1, 1, 8, 8)
    patches = to_patches(image, 4)
    assert patches.shape == (1, 4, 16)
    assert patches[0, 1].tolist() == image[0, 0, :4, 4:].flatten().tolist()
    assert patches[0, 2].tolist() == image[0, 0, 4:, :4].flatten().tolist()
    torch.testing.assert_close(from_patches(patches, 4, 2), image)
    shown = blanked(image + 1, torch.tensor([[1]]), 4)
    assert torch.equal(shown[0, 0, :4, 4:], image[0, 0, :4, 4:] + 1)
    assert shown.count_nonzero() == 16


def test_a_patch_is_standardised_by_itself_and_one_of_one_grey_is_zero() -> None:
    patches = torch.stack([torch.linspace(3, 9, 16), torch.full((16,), 5.0)])[None]
    done = standardised(patches)
    assert done[0, 0].mean().item() == pytest.approx(0, abs=1e-5)
    assert done[0, 0].std(unbiased=False).item() == pytest.approx(1, abs=1e-3)
    assert not done[0, 1].any()


def test_the_loss_is_the_squared_error_of_hidden_patches_alone() -> None:
    target = torch.randn(2, 4, 3, generator=generator())
    patches = torch.randn(2, 4, 3, generator=generator(1))
    hidden = torch.tensor([[True, False, False, True], [False, True, True, True]])
    total, count = 0.0, 0
    for b in range(2):
        for n in range(4):
            if hidden[b, n]:
                total += sum((patches[b, n, p] - target[b, n, p]).item() ** 2 for p in range(3)) / 3
                count += 1
    assert drawing_loss(Drawn(patches, target, hidden)).item() == pytest.approx(total / count, rel=1e-5)
    elsewhere = torch.where(hidden[:, :, None], patches, 99.0)
    torch.testing.assert_close(
        drawing_loss(Drawn(elsewhere, target, hidden)), drawing_loss(Drawn(patches, target, hidden))
    )


@pytest.mark.parametrize("normalised", [False, True])
def test_what_was_drawn_rightly_gives_the_image_again(normalised: bool) -> None:
    images = torch.randn(2, 1, 28, 28, generator=generator())
    patches = to_patches(images, 4)
    hidden = torch.zeros(2, 49, dtype=torch.bool)
    hidden[:, ::2] = True
    drawn = Drawn(standardised(patches) if normalised else patches, patches, hidden)
    torch.testing.assert_close(repainted(images, drawn, 4, normalised), images, rtol=1e-4, atol=1e-4)
    nothing = drawn._replace(patches=torch.zeros_like(patches))
    again = to_patches(repainted(images, nothing, 4, normalised), 4)
    torch.testing.assert_close(again[:, 1::2], patches[:, 1::2])  # what was shown stays
    expected = patches.mean(2, keepdim=True).expand_as(patches) if normalised else torch.zeros_like(patches)
    torch.testing.assert_close(again[:, ::2], expected[:, ::2])


@pytest.mark.parametrize(("spec", "size"), [(STEMMED, 28), (PLAIN, 64)], ids=["stem", "plain"])
def test_the_loss_falls_when_one_batch_is_learned_by_heart(spec: BackboneSpec, size: int) -> None:
    model = made(spec, MaeSpec(0.5, 32, 1, 2))
    y, x = torch.meshgrid(torch.linspace(-2, 2, size), torch.linspace(-2, 2, size), indexing="ij")
    images = torch.stack([torch.sin(x * k + y) for k in range(1, 5)])[:, None]
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        loss = drawing_loss(model(images, generator()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_what_can_not_be_hidden_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"mae\.mask=1.0; expected a share between 0 and 1"):
        MaeSpec(1.0)
    with pytest.raises(ConfigError, match=r"mae\.width=30; expected a multiple of 4 and of mae\.num_heads=16"):
        MaeSpec(width=30)
    with pytest.raises(ConfigError, match=r"mae\.mask=0\.01 hides none of 16 patches"):
        made(PLAIN, MaeSpec(0.01, 16, 1, 2))
