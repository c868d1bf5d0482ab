"""What is overwritten, what stays, and what is refused, over images with planted text and over the real radiograph."""

import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import cv2
import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import MultiFrameGrayscaleByteSecondaryCaptureImageStorage, SecondaryCaptureImageStorage

from radvit.bench.machine import one_thread
from radvit.deid.batch import FileScrubber, deidentify_folder
from radvit.deid.burned_in import FOR_RELEASE, BurnedIn, Depth, Mode, blank_burned_in
from radvit.deid.header_words import identity_words
from radvit.deid.ocr import ocr
from radvit.dicom.pixels import Coding, decode
from radvit.dicom.read import read
from radvit.errors import DeidError, QuarantineError
from radvit.pool import Guard

# Of the real radiograph: its five texts as they stand in the pixels (left, top, width, height), and what may stay.
REAL_TEXTS = [(0, 0, 241, 37), (262, 0, 230, 36), (510, 1, 60, 45), (588, 1, 226, 35), (145, 47, 218, 35)]
REAL_WORDS = [(1735, 10, 371, 62), (1881, 92, 249, 54), (2024, 169, 52, 68)]
THOROUGH = BurnedIn(depth=Depth.THOROUGH)


def anatomy(seed=0, size=(600, 500), wire=True):
    """Smooth noise with round bright nodules and a bright thin wire: what must not be taken for text."""
    rng = np.random.default_rng(seed)
    image = cv2.GaussianBlur(rng.normal(0, 1, size).astype(np.float32), (0, 0), 12)
    image = 500 + 2000 * (image - image.min()) / np.ptp(image)
    for center in rng.integers(60, 440, (6, 2)):
        cv2.circle(image, center.tolist(), 9, 2600, -1)
    if wire:
        cv2.line(image, (250, 100), (330, 420), 4095, 2)
    return image.astype(np.uint16)


def with_text(image, lines, level, scale=0.8, turns=0):
    """Text with soft edges, by quarter turns. Returns the image and which pixels belong to a stroke."""
    ink = np.zeros(np.rot90(image, turns).shape, np.uint8)
    for number, line in enumerate(lines):
        cv2.putText(ink, line, (12, 40 + 34 * number), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 2, cv2.LINE_AA)
    share = np.rot90(ink, -turns) / 255
    return np.round(image * (1 - share) + level * share).astype(image.dtype), share > 0.2


def boxed(shape, boxes):
    mask = np.zeros(shape, bool)
    for left, top, width, height in boxes:
        mask[top : top + height, left : left + width] = True
    return mask


@pytest.mark.parametrize("depth", list(Depth))
@pytest.mark.parametrize("level", [0, 4095])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_text_goes_and_the_rest_stays(grey_dataset, level, photometric, depth):
    image, mask = with_text(anatomy(), ["ROE^JANE 4711-08", "DOB: 1930.02.03 [F]"], level)
    dataset = grey_dataset(
        image, BurnedInAnnotation="YES", PhotometricInterpretation=photometric, BitsStored=12, HighBit=11
    )
    stored = decode(dataset)
    before, header = stored.copy(), dataset.to_json()
    blanked = blank_burned_in(stored, dataset, BurnedIn(depth=depth))
    (pixels,) = blanked.pixels
    assert boxed(image.shape, blanked.regions[0])[mask].all()
    assert not (pixels[mask] == level).any()
    assert np.isin(pixels[mask], np.arange(400, 2700)).all()
    changed = pixels != image
    assert changed[~mask].mean() < 0.06
    assert not changed[130:].any()
    assert (blanked.searched, blanked.kept, blanked.counts) == (True, 0, (len(blanked.regions[0]),))
    np.testing.assert_array_equal(stored, before)
    assert dataset.to_json() == header


def test_words_that_tell_nothing_of_the_patient_stay(grey_dataset):
    image, words = with_text(anatomy(), ["PORTABLE AP", "SUPINE 90 kV"], 4095)
    name = np.zeros(image.shape, np.uint8)
    cv2.putText(name, "ROE^JANE", (240, 500), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2)
    image[name > 0] = 4095
    blanked = blank_burned_in(image[None], grey_dataset(image), THOROUGH)
    assert blanked.kept == 2
    np.testing.assert_array_equal(blanked.pixels[0][words], image[words])
    assert not (blanked.pixels[0][name > 0] == 4095).any()


def test_a_word_of_the_patients_name_never_stays(grey_dataset):
    image, words = with_text(anatomy(), ["PORTABLE AP"], 4095)
    dataset = grey_dataset(image, PatientName="Portable^Anna")
    assert blank_burned_in(image[None], dataset, THOROUGH).kept == 1
    blanked = blank_burned_in(image[None], dataset, THOROUGH, identity_words(dataset))
    assert blanked.kept == 0
    assert not (blanked.pixels[0][words] == 4095).any()


@pytest.mark.parametrize(
    ("level", "scale", "turns"), [(4095, 0.8, 1), (0, 0.8, 3), (2900, 0.9, 0)],
    ids=["up", "down", "at no extreme"],
)  # fmt: skip
def test_the_detector_finds_what_strokes_do_not_show(grey_dataset, level, scale, turns):
    image, mask = with_text(anatomy(), ["ROE JANE", "ID 4711-08"], level, scale, turns)
    dataset = grey_dataset(image)
    regions = [blank_burned_in(image[None], dataset, BurnedIn(depth=depth)).regions[0] for depth in Depth]
    assert not boxed(image.shape, regions[0])[mask].all()
    assert boxed(image.shape, regions[1])[mask].mean() > 0.99
    assert boxed(image.shape, regions[1]).mean() < 0.15


def test_tilted_text_is_overwritten_piece_by_piece(grey_dataset):
    image = cv2.resize(anatomy(), (900, 900))
    ink = np.zeros(image.shape, np.uint8)
    cv2.putText(ink, "WANYUQING MURONGFEI 4711", (150, 450), cv2.FONT_HERSHEY_SIMPLEX, 1.4, 255, 3, cv2.LINE_AA)
    ink = cv2.warpAffine(ink, cv2.getRotationMatrix2D((450, 450), 25, 1), (900, 900))
    image[ink > 128] = 4095
    regions = blank_burned_in(image[None], grey_dataset(image), THOROUGH).regions[0]
    covered = boxed(image.shape, regions)
    assert covered[ink > 128].mean() > 0.99
    _, _, width, height = cv2.boundingRect(ink)
    assert covered.sum() < 0.75 * width * height


def test_text_on_signed_and_shifted_pixels(grey_dataset):
    image, mask = with_text(anatomy().astype(np.int16) - 1000, ["ROE^JANE 4711"], 3095)
    dataset = grey_dataset(image, BurnedInAnnotation="YES")
    blanked = blank_burned_in(decode(dataset), dataset, THOROUGH)
    assert not (blanked.pixels[0][mask] == 3095).any()
    shifted = grey_dataset((anatomy() & 0xFFF) << 4, BitsStored=12, HighBit=15, BurnedInAnnotation="YES")
    marked, mask = with_text(anatomy(), ["ROE^JANE 4711"], 4095)
    shifted.PixelData = (marked << 4).astype("<u2").tobytes()
    blanked = blank_burned_in(decode(shifted), shifted, THOROUGH)
    assert ((blanked.pixels[0][mask] >> 4) < 2700).all()


@pytest.mark.parametrize("depth", list(Depth))
@pytest.mark.parametrize("seed", [0, 2, 3])  # of seed 1 two discs overlap, and read as a 6
def test_an_image_without_text_is_the_same_array(grey_dataset, seed, depth):
    rng = np.random.default_rng(seed)
    tissue = anatomy(seed, wire=depth is Depth.QUICK)  # the detector takes some ends of a wire for text
    for image in (tissue, rng.integers(0, 4096, (400, 400)).astype(np.uint16), np.zeros((9, 9), np.uint16)):
        stored = image[None]
        assert blank_burned_in(stored, grey_dataset(image), BurnedIn(depth=depth)).pixels is stored


@pytest.mark.parametrize("option", [BurnedIn(), FOR_RELEASE])
def test_flagged_and_nothing_found_is_quarantined_unless_allowed(grey_dataset, option):
    dataset = grey_dataset(anatomy(), BurnedInAnnotation="YES")
    stored = decode(dataset)
    with pytest.raises(QuarantineError, match="no text was found") as refused:
        blank_burned_in(stored, dataset, option)
    assert refused.value.reason == "burned-in"
    blanked = blank_burned_in(stored, dataset, BurnedIn(depth=option.depth, allow_none=True))
    assert blanked.pixels is stored
    assert (blanked.counts, blanked.searched) == ((0,), True)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [({"SOPClassUID": SecondaryCaptureImageStorage}, "capture"),
     ({"SOPClassUID": MultiFrameGrayscaleByteSecondaryCaptureImageStorage}, "capture"),
     ({"ConversionType": "WSD"}, "capture"), ({"Modality": "US"}, "ultrasound"),
     ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "screenshot"),
     ({"Modality": "US", "BurnedInAnnotation": "NO"}, "ultrasound")],
)  # fmt: skip
def test_what_often_holds_identity_is_quarantined_where_files_are_written(grey_dataset, attributes, reason):
    dataset = grey_dataset(anatomy(), **attributes)
    stored = decode(dataset)
    with pytest.raises(QuarantineError, match="check the image") as refused:
        blank_burned_in(stored, dataset, FOR_RELEASE)
    assert refused.value.reason == reason
    assert blank_burned_in(stored, dataset, BurnedIn()).pixels is stored
    assert blank_burned_in(stored, dataset, BurnedIn(captures=True, allow_none=True)).pixels is stored
    assert not blank_burned_in(stored, dataset, BurnedIn(Mode.OFF, captures=True)).searched


def test_a_capture_whose_text_was_found_gets_through(grey_dataset):
    image, mask = with_text(anatomy(), ["ROE^JANE 4711"], 4095)
    dataset = grey_dataset(image, SOPClassUID=SecondaryCaptureImageStorage)
    assert not (blank_burned_in(image[None], dataset, FOR_RELEASE).pixels[0][mask] == 4095).any()


def test_a_capture_that_holds_allowed_words_alone_does_not(grey_dataset):
    image, _ = with_text(anatomy(), ["PORTABLE AP"], 4095)
    with pytest.raises(QuarantineError):
        blank_burned_in(image[None], grey_dataset(image, SOPClassUID=SecondaryCaptureImageStorage), FOR_RELEASE)


def test_a_quarantine_error_survives_a_process_pool():
    error = pickle.loads(pickle.dumps(QuarantineError("capture", "check the image")))  # noqa: S301 - our own
    assert (error.reason, str(error)) == ("capture", "check the image")
    assert isinstance(error, DeidError)


def test_a_makers_band_is_overwritten_unseen_and_only_where_the_original_header_says_so(grey_dataset):
    image = np.full((480, 640), 60, np.uint8) + (np.indices((480, 640)).sum(axis=0) % 3).astype(np.uint8)
    header = {"Modality": "US", "Manufacturer": "Philips Medical Systems", "ManufacturerModelName": "iU22"}
    dataset = grey_dataset(image, **header)
    blanked = blank_burned_in(image[None], dataset, FOR_RELEASE)
    assert blanked.regions == (((0, 0, 640, 47),),)
    assert (blanked.pixels[0, :47] == blanked.pixels[0, 0, 0]).all()
    np.testing.assert_array_equal(blanked.pixels[0, 47:], image[47:])
    del dataset.Manufacturer
    with pytest.raises(QuarantineError, match="ultrasound"):
        blank_burned_in(image[None], dataset, FOR_RELEASE)


def test_what_lies_beside_the_regions_of_an_ultrasound_is_overwritten(grey_dataset):
    image = np.random.default_rng(0).integers(20, 60, (300, 400)).astype(np.uint8)
    region = Dataset()
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 50, 40
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 349, 279
    dataset = grey_dataset(image, Modality="US", SequenceOfUltrasoundRegions=[region])
    (pixels,) = blank_burned_in(image[None], dataset, FOR_RELEASE).pixels
    np.testing.assert_array_equal(pixels[40:280, 50:350], image[40:280, 50:350])
    assert max(len(np.unique(side)) for side in (pixels[:40], pixels[280:], pixels[40:280, :50])) == 1


@pytest.mark.parametrize(
    ("mode", "flag", "searched"),
    [(Mode.SUSPECT, None, True), (Mode.SUSPECT, "NO", False), (Mode.FLAGGED, None, False), (Mode.FLAGGED, "YES", True),
     (Mode.ALWAYS, "NO", True), (Mode.OFF, "YES", False)],
)  # fmt: skip
def test_which_images_are_searched(grey_dataset, mode, flag, searched):
    image, _ = with_text(anatomy(), ["ROE^JANE 4711"], 4095)
    dataset = grey_dataset(image, **({} if flag is None else {"BurnedInAnnotation": flag}))
    blanked = blank_burned_in(decode(dataset), dataset, BurnedIn(mode))
    assert (blanked.searched, bool(sum(blanked.counts))) == (searched, searched)


@pytest.mark.parametrize("depth", list(Depth))
def test_what_stands_in_one_frame_is_overwritten_in_all(grey_dataset, depth):
    marked, mask = with_text(anatomy(), ["ROE^JANE 4711"], 4095)
    dataset = grey_dataset(np.stack([anatomy(), marked, anatomy()]), BurnedInAnnotation="YES")
    blanked = blank_burned_in(decode(dataset), dataset, BurnedIn(depth=depth))
    assert len(set(blanked.regions)) == 1
    for frame in blanked.pixels:
        assert not (frame[mask] == 4095).any()
        np.testing.assert_array_equal(frame[200:], anatomy()[200:])


@pytest.mark.parametrize("level", [4095, 2900])
def test_text_that_differs_from_frame_to_frame_goes_from_each(grey_dataset, level):
    names = ["ROE JANE 4711", "WANG FANG 38", "OKAFOR N. A.", "DOB 1930-02-03", "ST. VINCENT 7"]
    frames, masks = zip(*(with_text(anatomy(seed), [name], level) for seed, name in enumerate(names)), strict=True)
    stored = np.stack(frames)
    blanked = blank_burned_in(stored, grey_dataset(stored), THOROUGH)
    for mask in masks:
        assert boxed(mask.shape, blanked.regions[0])[mask].mean() > 0.99


def test_a_side_marker_over_a_name_of_another_frame_does_not_save_it(grey_dataset):
    kept, _ = with_text(anatomy(), ["PORTABLE AP"], 4095)
    named, name = with_text(anatomy(), ["ROE JANE 471"], 4095)
    stored = np.stack([kept, named])
    blanked = blank_burned_in(stored, grey_dataset(stored), THOROUGH)
    assert blanked.kept == 0
    assert not (blanked.pixels[1][name] == 4095).any()


def test_the_real_radiographs_texts_go_without_reading_too(real_cr):
    dataset = read(real_cr)
    stored = decode(dataset)
    blanked = blank_burned_in(stored, dataset, BurnedIn(), identity_words(dataset))
    texts = boxed(stored.shape[1:], REAL_TEXTS)
    assert boxed(texts.shape, blanked.regions[0])[texts].all()
    assert (blanked.pixels != stored)[0][~texts].mean() < 0.015  # "Semi-Upright" and "Portable" go, too
    assert blanked.kept == 0


def test_the_real_radiographs_texts_go_and_its_words_stay(real_cr):
    dataset = read(real_cr)
    stored = decode(dataset)
    blanked = blank_burned_in(stored, dataset, THOROUGH, identity_words(dataset))
    texts, changed = boxed(stored.shape[1:], REAL_TEXTS), (blanked.pixels != stored)[0]
    assert boxed(texts.shape, blanked.regions[0])[texts].all()
    assert changed[~texts].mean() < 0.005
    assert not changed[boxed(texts.shape, REAL_WORDS)].any()
    # A cassette's mark, L-1, stands upright at the right border: it has no word that may stay, and no strokes in a row.
    assert blanked.kept == 3
    assert not ocr().detect(blanked.pixels[0][:110, :900]).size
    assert len(blanked.pixels) == 1
    assert Coding.of(dataset).bounds == (0, 1023)


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_text_is_read_in_worker_processes_of_both_kinds(grey_dataset, start):
    image, _ = with_text(anatomy(), ["PORTABLE AP", "ROE JANE"], 4095)
    dataset = grey_dataset(image)
    here = blank_burned_in(image[None], dataset, THOROUGH)  # loads the networks, which a fork must not use
    with one_thread(), ProcessPoolExecutor(1, mp_context=get_context(start)) as pool:  # OpenCV's threads don't fork
        there = pool.submit(blank_burned_in, image[None], dataset, THOROUGH).result()
    assert (there.regions, there.kept) == (here.regions, here.kept)


def test_the_search_fits_into_a_guarded_worker(grey_file, tmp_path, pseudonymizer):
    image, _ = with_text(cv2.resize(anatomy(), (2140, 1760)), ["ROE JANE 4711"], 4095, scale=1.2)
    source = grey_file(image, "in/a.dcm").parent
    scrubber = pickle.loads(pickle.dumps(FileScrubber(pseudonymizer)))  # noqa: S301 - our own
    assert scrubber.burned_in == FOR_RELEASE
    summary = deidentify_folder(source, tmp_path / "out", scrubber, workers=1, guard=Guard(memory_mb=768))
    assert (summary.written, summary.failures) == (1, ())
    assert summary.blanked > 0


def test_nothing_is_loaded_or_fetched_before_text_is_read():
    code = (
        "import sys, socket\n"
        "def refuse(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "import radvit.data.loader\n"
        "assert 'onnxruntime' not in sys.modules\n"
        "import numpy as np\n"
        "from radvit.deid.ocr import ocr\n"
        "ocr().detect(np.zeros((64, 64), np.uint8))\n"
        "assert 'rapidocr' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
