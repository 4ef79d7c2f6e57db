"""`python -m app.cli` is `telemock`: telemock starts its own children this way."""

from app.cli import main

if __name__ == "__main__":
    main()
