"""Generated Form 4s as EDGAR shows them: the XML of the form, and the full text of the submission around it."""

from html import escape

from scrapers import times
from scrapers.twin.edgar_submissions import Submission
from scrapers.twin.insider_filings import PLAN_QUESTION, Deal, Owner, Report


def submission_text(report: Report) -> str:
    """The `.txt` of a submission: the header with the time of acceptance on New York's clock, and the document."""
    it = report.submission
    return (
        f"{header(it)}<DOCUMENT>\n<TYPE>{it.form}\n<SEQUENCE>1\n<FILENAME>doc4.xml\n<DESCRIPTION>SYNTHETIC FORM {it.form}\n<TEXT>\n<XML>\n"
        f"{document(report)}</XML>\n</TEXT>\n</DOCUMENT>\n</SEC-DOCUMENT>\n"
    )


def header(it: Submission) -> str:
    """The header that every submission has."""
    accepted = it.accepted_at.astimezone(times.NEW_YORK)
    parties = "".join(
        f"{'ISSUER' if filer.role == 'Issuer' else 'REPORTING-OWNER' if filer.role == 'Reporting' else 'FILER'}:\n\n"
        f"\tCOMPANY DATA:\n\t\tCOMPANY CONFORMED NAME:\t\t\t{filer.name}\n\t\tCENTRAL INDEX KEY:\t\t\t{filer.cik:010d}\n\n"
        for filer in it.filers
    )
    return (
        f"<SEC-DOCUMENT>{it.accession}.txt : {it.filed:%Y%m%d}\n<SEC-HEADER>{it.accession}.hdr.sgml : {it.filed:%Y%m%d}\n"
        f"<ACCEPTANCE-DATETIME>{accepted:%Y%m%d%H%M%S}\nACCESSION NUMBER:\t\t{it.accession}\n"
        f"CONFORMED SUBMISSION TYPE:\t{it.form}\nPUBLIC DOCUMENT COUNT:\t\t1\nCONFORMED PERIOD OF REPORT:\t{it.period:%Y%m%d}\n"
        f"FILED AS OF DATE:\t\t{it.filed:%Y%m%d}\nDATE AS OF CHANGE:\t\t{it.filed:%Y%m%d}\n\n{parties}</SEC-HEADER>\n"
    )


def document(report: Report) -> str:
    """The `ownershipDocument`."""
    it = report.submission
    original = f"<dateOfOriginalSubmission>{report.amends}</dateOfOriginalSubmission>" if report.amends else ""
    plan = f"<aff10b5One>{_bool(report.planned, report.words)}</aff10b5One>" if it.filed >= PLAN_QUESTION else ""
    common = "".join(_deal(deal) for deal in report.deals if not deal.derivative)
    options = "".join(_deal(deal) for deal in report.deals if deal.derivative)
    return (
        '<?xml version="1.0"?>\n<ownershipDocument>\n<schemaVersion>X0508</schemaVersion>\n'
        f"<documentType>{it.form}</documentType>\n<periodOfReport>{it.period}</periodOfReport>\n{original}\n"
        f"<issuer><issuerCik>{report.issuer.cik:010d}</issuerCik><issuerName>{escape(report.issuer.name)}</issuerName>"
        f"<issuerTradingSymbol>{escape(report.symbol_text)}</issuerTradingSymbol></issuer>\n"
        f"{''.join(_owner(owner, report.words) for owner in report.owners)}{plan}\n"
        f"<nonDerivativeTable>{common}</nonDerivativeTable>\n"
        f"{f'<derivativeTable>{options}</derivativeTable>' if options else ''}\n"
        '<footnotes><footnote id="F1">Synthetic footnote: a price in a range of prices.</footnote></footnotes>\n'
        f"<ownerSignature><signatureName>/s/ {report.owners[0].name}</signatureName><signatureDate>{it.filed}</signatureDate>"
        "</ownerSignature>\n</ownershipDocument>\n"
    )


def _owner(owner: Owner, words: bool) -> str:
    """An owner; authors who write words leave out what does not apply."""
    is_a = {
        "isDirector": owner.director,
        "isOfficer": bool(owner.title),
        "isTenPercentOwner": owner.ten_percent,
        "isOther": False,
    }
    flags = "".join(f"<{name}>{_bool(value, words)}</{name}>" for name, value in is_a.items() if value or not words)
    title = f"<officerTitle>{owner.title}</officerTitle>" if owner.title else ""
    return (
        f"<reportingOwner><reportingOwnerId><rptOwnerCik>{owner.cik:010d}</rptOwnerCik><rptOwnerName>{owner.name}</rptOwnerName>"
        f"</reportingOwnerId><reportingOwnerRelationship>{flags}{title}</reportingOwnerRelationship></reportingOwner>\n"
    )


def _deal(deal: Deal) -> str:
    kind = "derivative" if deal.derivative else "nonDerivative"
    after = (
        f"<postTransactionAmounts><sharesOwnedFollowingTransaction><value>{deal.after}</value></sharesOwnedFollowingTransaction>"
        f"</postTransactionAmounts><ownershipNature><directOrIndirectOwnership><value>{deal.ownership}</value></directOrIndirectOwnership>"
        "</ownershipNature>"
    )
    title = f"<securityTitle><value>{deal.title}</value></securityTitle>"
    if deal.holding:
        return f"<{kind}Holding>{title}{after}</{kind}Holding>\n"
    note = '<footnoteId id="F1"/>' if deal.footnote else ""
    price = note if deal.price is None else f"<value>{deal.price}</value>{note}"
    return (
        f"<{kind}Transaction>{title}<transactionDate><value>{deal.day}</value></transactionDate>"
        f"<transactionCoding><transactionFormType>4</transactionFormType><transactionCode>{deal.code}</transactionCode>"
        "<equitySwapInvolved>0</equitySwapInvolved></transactionCoding>"
        f"<transactionAmounts><transactionShares><value>{deal.shares}</value></transactionShares>"
        f"<transactionPricePerShare>{price}</transactionPricePerShare>"
        f"<transactionAcquiredDisposedCode><value>{deal.way}</value></transactionAcquiredDisposedCode></transactionAmounts>"
        f"{after}</{kind}Transaction>\n"
    )


def _bool(value: bool, words: bool) -> str:
    return str(value).lower() if words else str(int(value))
