"""Packs conf/ and recipes/, which stand beside the package in a checkout, into the wheel."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["asr_hf", "asr_hf.*"]), "asr_hf.conf", "asr_hf.recipes"],
    package_dir={"asr_hf.conf": "conf", "asr_hf.recipes": "recipes"},
    package_data={"asr_hf": ["py.typed"], "asr_hf.conf": ["**/*.yaml"], "asr_hf.recipes": ["**/*"]},
    exclude_package_data={"": ["**/__pycache__/*"]},
)
