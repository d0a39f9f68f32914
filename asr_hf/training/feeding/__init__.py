"""Brings frames and their targets to the device, in the units that samples are drawn in."""
