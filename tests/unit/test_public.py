from __future__ import annotations

import subprocess
import sys

import nemo_retriever_dagster as package


def test_the_public_names_are_exactly_those_listed() -> None:
    assert package.__all__ == sorted(package.__all__)
    assert dir(package) == package.__all__
    for name in package.__all__:
        assert getattr(package, name).__doc__


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    assert not hasattr(package, "Ingester")


def test_the_ingestor_and_the_command_line_start_without_dagster_milvus_and_models() -> None:
    program = (
        "import sys, nemo_retriever_dagster as n, nemo_retriever_dagster.cli; n.Ingestor, n.Retriever;"
        "heavy = {'dagster', 'pymilvus', 'onnxruntime', 'torch', 'rapidocr', 'cv2', 'pandas'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
