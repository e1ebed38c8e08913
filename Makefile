# The words live in make.py, which works on Windows too (make.bat).
.PHONY: demo test test-untimed test-lerobot test-tensorflow test-obs test-vm test-wine lock setup
demo test test-untimed test-lerobot test-tensorflow test-obs test-vm test-wine lock setup:
	@python3 make.py $@
