"""DICOM files to float pixels."""
