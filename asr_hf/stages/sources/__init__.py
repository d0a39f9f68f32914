"""What stages read and keep current: corpora, HMM systems, alignments and frame stores."""
