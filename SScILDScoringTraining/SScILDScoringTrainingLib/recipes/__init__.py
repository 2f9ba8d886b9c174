"""What is particular to each network: its data, its loss, its validation. The loop is in :mod:`..training`."""
