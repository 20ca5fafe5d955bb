"""What is printed of errors."""

import sys
import traceback


def report(message, *, exc_info=False):
    print("***", message, file=sys.stderr)
    if exc_info:
        print(traceback.format_exc(), file=sys.stderr)


def display(e, task, *, full_traceback=False):
    print(f"{task}: {type(e).__name__}", file=sys.stderr)
    traceback.print_exception(e)
