@echo off
rem The words live in make.py: make demo, make test.
py -3 "%~dp0make.py" %*
