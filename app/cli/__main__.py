"""`python -m app.cli` is `telemock`: for the children that telemock starts itself."""

from app.cli import main

if __name__ == "__main__":
    main()
