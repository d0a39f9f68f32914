"""One module for each form that `asr-hf export` writes; `training.export_formats` lists them."""
