import cv2
import numpy as np
import pytest

from radvit.deid.strokes import find_text
from radvit.dicom.pixels import Coding, decode
from radvit.dicom.read import read

# Of the real radiograph: its five texts as they stand in the pixels (left, top, width, height).
REAL_TEXTS = [(0, 0, 241, 37), (262, 0, 230, 36), (510, 1, 60, 45), (588, 1, 226, 35), (145, 47, 218, 35)]


def anatomy(seed=0, size=(600, 500)):
    """Smooth noise with round bright nodules and bright thin wires: what must not be taken for text."""
    rng = np.random.default_rng(seed)
    image = cv2.GaussianBlur(rng.normal(0, 1, size).astype(np.float32), (0, 0), 12)
    image = 500 + 2000 * (image - image.min()) / np.ptp(image)
    for center in rng.integers(60, 440, (6, 2)):
        cv2.circle(image, center.tolist(), 9, 2600, -1)
    cv2.line(image, (250, 100), (330, 420), 4095, 2)
    return image.astype(np.uint16)


def with_text(image, lines, level, scale=0.8):
    """Text with soft edges. Returns the image and which pixels belong to a stroke."""
    ink = np.zeros(image.shape, np.uint8)
    for number, line in enumerate(lines):
        cv2.putText(ink, line, (12, 30 + 34 * number), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 2, cv2.LINE_AA)
    share = ink / 255
    return np.round(image * (1 - share) + level * share).astype(image.dtype), share > 0.2


def covers(rects, mask):
    kept = mask.copy()
    for left, top, width, height in rects:
        kept[top : top + height, left : left + width] = False
    return not kept.any()


@pytest.mark.parametrize("scale", [0.6, 0.8, 1.2])
@pytest.mark.parametrize("level", [0, 4095])
def test_small_soft_letters_are_covered_too(grey_dataset, scale, level):
    ink = np.zeros((600, 500), np.uint8)
    for number, line in enumerate(["WANYUQING MURONGFEI", "00010-7833-QX F", "2023-02-17"]):
        cv2.putText(ink, line, (12, 30 + 50 * number), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 2, cv2.LINE_AA)
    share, image = ink / 255, anatomy()
    marked = np.round(image * (1 - share) + level * share).astype(np.uint16)
    rects = find_text(marked, Coding.of(grey_dataset(marked)))
    assert len(rects) == 3
    assert covers(rects, share > 0.2)


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_found_in_anatomy_or_noise(grey_dataset, seed):
    rng = np.random.default_rng(seed)
    for image in (anatomy(seed), rng.integers(0, 4096, (400, 400)).astype(np.uint16), np.zeros((9, 9), np.uint16)):
        assert len(find_text(image, Coding.of(grey_dataset(image)))) == 0


def test_islands_of_over_exposure_are_no_text(grey_dataset):
    """Thin strips side by side, as high as letters: text where they end sharply, anatomy where they fade."""
    y, x = np.mgrid[:800, :300]
    wave = np.cos(2 * np.pi * x / 30) * np.exp(-(((y - 400) / 60) ** 2))
    faded = np.clip(3950 + 160 * wave, 0, 4095).astype(np.uint16)
    faded[:20] = 0
    sharp = np.where(faded == 4095, 4095, faded // 2)
    assert len(find_text(sharp, Coding.of(grey_dataset(sharp)))) == 1
    assert len(find_text(faded, Coding.of(grey_dataset(faded)))) == 0


def test_a_side_marker_alone_stays(grey_dataset):
    image, _ = with_text(anatomy(), ["L"], 4095, scale=2)
    assert len(find_text(image, Coding.of(grey_dataset(image)))) == 0


def test_the_real_radiographs_texts_are_all_covered(real_cr):
    dataset = read(real_cr)
    (frame,) = decode(dataset)
    rects = find_text(frame, Coding.of(dataset))
    texts, found = np.zeros(frame.shape, bool), np.zeros(frame.shape, bool)
    for mask, boxes in ((texts, REAL_TEXTS), (found, rects)):
        for left, top, width, height in boxes:
            mask[top : top + height, left : left + width] = True
    assert found[texts].all()
    # The rest of the text lines, and the words Semi-Upright and Portable in the other corner, which reading keeps.
    assert found[~texts].mean() < 0.015
    assert not found[110:, :1800].any()


@pytest.mark.parametrize(
    ("stored", "high_bit", "signed"), [(12, 11, 0), (12, 11, 1), (12, 15, 1), (16, 15, 0), (10, 12, 0)]
)
def test_junk_in_unused_bits_changes_nothing(grey_dataset, stored, high_bit, signed):
    """Old overlays stand in the bits beside the value (PS3.5 8.1.1)."""
    image, _ = with_text(anatomy(), ["ROE^JANE 4711-08"], 4095)
    values = (image >> (12 - min(stored, 12))).astype(np.int32) - (2048 if signed else 0)
    shift = high_bit + 1 - stored
    clean = (values << shift) & (((1 << stored) - 1) << shift)
    junk = np.random.default_rng(0).integers(0, 1 << 16, image.shape) & ~(((1 << stored) - 1) << shift)
    found = []
    for codes in (clean, clean | junk):
        dataset = grey_dataset(codes.astype(np.uint16), BitsStored=stored, HighBit=high_bit, PixelRepresentation=signed)
        found.append(find_text(codes.astype(np.uint16), Coding.of(dataset)).tolist())
    assert found[0] == found[1] == find_text(image, Coding.of(grey_dataset(image))).tolist()


def test_32_bit_values_are_searched_too(grey_dataset):
    image, _ = with_text(anatomy(), ["ROE^JANE 4711-08"], 4095)
    wide = image.astype(np.int32) * 1000 - 2_000_000
    expected = find_text(image, Coding.of(grey_dataset(image)))
    np.testing.assert_array_equal(find_text(wide, Coding.of(grey_dataset(wide))), expected)
