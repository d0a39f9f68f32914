"""What every stage stands on: errors, files, artefacts, run folders, events, devices and ranks."""
