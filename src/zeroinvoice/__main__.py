"""`python -m zeroinvoice` is the command line."""

from zeroinvoice.cli import main

if __name__ == "__main__":
    main()
