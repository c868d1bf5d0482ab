"""ONNX export and INT8."""
