"""What was entered wrongly: nothing signed is changed, a later record corrects it or says what stands in its place."""
