"""How fast asr-hf computes, beside its peers."""
