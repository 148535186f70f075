"""Title besides its sale: parts, chains of holders, encumbrances, notices of assignment, public filings."""
