"""Parts of the adapt stage: whether a run can be adapted, and its words before and after."""
