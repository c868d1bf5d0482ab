"""What technologists and protocols write: the words of descriptions that identify nobody and must stay."""

from __future__ import annotations

from collections.abc import Mapping

STUDIES: Mapping[str, tuple[str, ...]] = {
    "CR": ("XR CHEST 2 VIEWS", "Knee AP and lateral", "XR HAND 2 VIEWS", "Thorax pa/lat", "PELVIS AP", "FOOT 3 VIEWS"),
    "DX": ("Chest PA", "ABDOMEN SUPINE", "Lumbar spine lateral", "LONG LEG VIEW", "XR WRIST LEFT", "SHOULDER AP"),
    "MG": ("Mammography screening bilateral", "MAMMO DIAG RIGHT", "Breast tomosynthesis", "MG SCREEN 4 VIEWS"),
    "CT": ("CT chest", "CT ABDOMEN PELVIS W CONTRAST", "CT HEAD W/O", "CT angiography thorax", "LOW DOSE LUNG CT"),
    "MR": ("MR BRAIN W AND W/O", "MRI lumbar spine", "MR Knee right", "MRI LIVER CONTRAST", "MR prostate mpMRI"),
    "PT": ("PET/CT WHOLE BODY FDG", "PET brain amyloid", "PET CT skull base to mid thigh"),
    "US": ("US ABDOMEN COMPLETE", "Ultrasound thyroid", "US CAROTID DOPPLER", "Renal ultrasound"),
    "XA": ("Coronary angiography", "CEREBRAL ANGIOGRAM", "Peripheral angiography leg"),
    "RF": ("BARIUM SWALLOW", "Upper GI fluoroscopy", "VCUG"),
    "NM": ("BONE SCAN WHOLE BODY", "Myocardial perfusion SPECT", "NM RENAL MAG3"),
    "SC": ("SCANNED DOCUMENT", "Screen capture CT workstation", "DOSE SUMMARY"),
}
SERIES: Mapping[str, tuple[str, ...]] = {
    "CR": ("AP", "LATERAL", "PA upright", "Oblique view"),
    "DX": ("PA", "LAT erect", "AP portable", "Lateral decubitus"),
    "MG": ("R MLO", "L CC", "R CC magnification", "L MLO"),
    "CT": ("Axial 1.25mm LUNG", "Thorax 3.0 B30f", "SCOUT", "COR MPR 2mm", "Portal venous phase", "ABD 5.0 SOFT"),
    "MR": ("AX T2 FSE", "SAG T1 SE", "t2_tse_sag_384", "ep2d_diff_b1000", "COR STIR", "AX FLAIR fat sat", "LOCALIZER"),
    "PT": ("PET WB AC", "PET NAC", "Static brain emission"),
    "US": ("B-mode", "Color Doppler", "Transverse right lobe"),
    "XA": ("LCA RAO 30", "RCA LAO", "DSA run"),
    "RF": ("Esophagus AP", "Fluoro spot"),
    "NM": ("ANT/POST", "Rest tomo", "Delayed images 3 hours"),
    "SC": ("Report page", "Capture", "Summary"),
}
PROTOCOLS: Mapping[str, tuple[str, ...]] = {
    "CR": ("CHEST PA", "EXTREMITY"),
    "DX": ("CHEST PA GRID", "ABDOMEN"),
    "MG": ("ROUTINE 4 VIEW",),
    "CT": ("ThoraxRoutine", "Abdomen contrast portal", "HEAD AXIAL"),
    "MR": ("t1_se_tra", "HEAD COIL ROUTINE", "LIVER DYNAMIC"),
    "PT": ("WB FDG 60 min",),
    "US": ("ABDOMEN",),
    "XA": ("CORO 15 fps",),
    "RF": ("SWALLOW",),
    "NM": ("BONE WB",),
    "SC": ("CAPTURE",),
}
FINDINGS: tuple[str, ...] = (
    "no acute fracture",
    "small pleural effusion left",
    "post contrast phase",
    "motion artifact",
    "status post resection",
    "follow-up of pulmonary nodule",
    "shortness of breath",
    "suspected pneumonia",
    "chronic back pain",
    "known hepatic lesion",
    "stable mild cardiomegaly",
    "rule out embolism",
)
FRAGMENTS: tuple[str, ...] = ("{} {}", "{} for {}", "{} - {}", "{} / {}", "{}, {}", "{}; {}")
