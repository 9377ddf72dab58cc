"""For tests that export to ONNX: the list of its operators is made once a process.

torch.onnx.export makes it at each call, of the source of 500 functions: most of the time that a tiny net takes.
"""

from functools import cache
from typing import Any

from torch.onnx._internal._lazy_import import onnxscript_apis

operators: Any = cache(onnxscript_apis.get_torchlib_ops)
onnxscript_apis.get_torchlib_ops = operators
