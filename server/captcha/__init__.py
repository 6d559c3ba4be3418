"""Kinds of captcha, one file each."""
