"""The office: accounts, payments and refunds of everybody, for those who run the platform, and who is shut out."""
