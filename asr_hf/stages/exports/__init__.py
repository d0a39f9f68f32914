"""One module for each format that `asr-hf export` writes; `training.export_formats` lists them."""
