"""The closed loop: models trained on what came, watched in shadow, promoted on evidence, taken back."""
