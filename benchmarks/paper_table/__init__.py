"""The paper's own table: HF on sMBR without and with its preconditioner and its sampling."""
