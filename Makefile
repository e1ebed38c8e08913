# The words live in make.py, which works on Windows too (make.bat).
.PHONY: demo test lock setup
demo test lock setup:
	@python3 make.py $@
