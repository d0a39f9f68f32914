"""First-order and quasi-Newton optimisers to compare with."""
