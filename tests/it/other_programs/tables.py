"""Files of schedules by other programs: writes some, and reads ours.

usage: tables.py write FOLDER | read FILE | calendar FILE
"""

import datetime
import json
import sys

HEADS = ["judul", "video", "tanggal", "jam", "zona waktu", "ulangi", "durasi", "dijeda", "kunci"]
START = datetime.datetime(2031, 1, 4)
ROWS = [
    ["Pagi", "Rain", START, datetime.time(4, 30), "WIB", True, datetime.timedelta(hours=1, minutes=30), False, "Main"],
    ["=Malam", "rain.mp4", START + datetime.timedelta(days=1), datetime.time(20, 0), "Asia/Makassar", False, datetime.timedelta(hours=2), True, "Main"],
]
# A second sheet, and a hidden third one: neither comes first, whatever they are called.
ARCHIVE = ["judul", "video"]


def write_xlsx(path, epoch):
    import openpyxl

    book = openpyxl.Workbook()
    book.epoch = epoch
    sheet = book.active
    sheet.title = "Jadwal"
    sheet.append(["Jadwal bulan ini"])
    sheet.append([])
    sheet.append(HEADS)
    for row in ROWS:
        sheet.append(row)
    for line in (4, 5):
        sheet.cell(line, 1).data_type = "s"
        sheet.cell(line, 7).number_format = "[h]:mm"
    sheet.cell(4, 1).hyperlink = "https://example.net/"
    sheet["K1"].comment = openpyxl.comments.Comment("a note", "al")
    book.create_sheet("Arsip").append(ARCHIVE)
    hidden = book.create_sheet("Daftar")
    hidden.append(ARCHIVE)
    hidden.sheet_state = "hidden"
    book.save(path)


def write_xls(path):
    import xlwt

    book = xlwt.Workbook()
    sheet = book.add_sheet("Jadwal")
    day = xlwt.easyxf(num_format_str="yyyy-mm-dd")
    clock = xlwt.easyxf(num_format_str="hh:mm")
    for place, head in enumerate(HEADS):
        sheet.write(0, place, head)
    for line, row in enumerate(ROWS, 1):
        for place, value in enumerate(row):
            if isinstance(value, datetime.datetime):
                sheet.write(line, place, value, day)
            elif isinstance(value, datetime.time):
                sheet.write(line, place, value, clock)
            elif isinstance(value, datetime.timedelta):
                sheet.write(line, place, value.total_seconds() / 86400, clock)
            else:
                sheet.write(line, place, value)
    for name, visibility in (("Arsip", 0), ("Daftar", 1)):
        further = book.add_sheet(name)
        further.visibility = visibility
        for place, head in enumerate(ARCHIVE):
            further.write(0, place, head)
    book.save(path)


def write_ods(path):
    from odf.opendocument import OpenDocumentSpreadsheet
    from odf.style import Style, TableProperties
    from odf.table import Table, TableCell, TableRow
    from odf.text import P

    book = OpenDocumentSpreadsheet()
    table = Table(name="Jadwal")

    def cell(value):
        if isinstance(value, bool):
            return TableCell(valuetype="boolean", booleanvalue="true" if value else "false")
        if isinstance(value, datetime.datetime):
            return TableCell(valuetype="date", datevalue=value.strftime("%Y-%m-%d"))
        if isinstance(value, datetime.time):
            return TableCell(valuetype="time", timevalue=value.strftime("PT%HH%MM%SS"))
        if isinstance(value, datetime.timedelta):
            minutes = int(value.total_seconds()) // 60
            return TableCell(valuetype="time", timevalue=f"PT{minutes // 60:02}H{minutes % 60:02}M00S")
        made = TableCell(valuetype="string")
        made.addElement(P(text=value))
        return made

    for values in [HEADS, *ROWS]:
        row = TableRow()
        for value in values:
            row.addElement(cell(value))
        # What LibreOffice puts after every line and table.
        row.addElement(TableCell(numbercolumnsrepeated=16375))
        table.addElement(row)
    rest = TableRow(numberrowsrepeated=1048570)
    rest.addElement(TableCell(numbercolumnsrepeated=16384))
    table.addElement(rest)
    book.spreadsheet.addElement(table)
    unseen = Style(name="unseen", family="table")
    unseen.addElement(TableProperties(display="false"))
    book.automaticstyles.addElement(unseen)
    for name, looks in (("Arsip", {}), ("Daftar", {"stylename": unseen})):
        further = Table(name=name, **looks)
        row = TableRow()
        for head in ARCHIVE:
            row.addElement(cell(head))
        further.addElement(row)
        book.spreadsheet.addElement(further)
    book.save(path)


def write(folder):
    from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900

    write_xlsx(f"{folder}/new.xlsx", CALENDAR_WINDOWS_1900)
    write_xlsx(f"{folder}/mac.xlsx", CALENDAR_MAC_1904)
    write_xls(f"{folder}/old.xls")
    write_ods(f"{folder}/libre.ods")


def read(path):
    import openpyxl

    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    told = {
        "sheets": [[one.title, one.sheet_state] for one in book.worksheets],
        "rows": [["" if value is None else str(value) for value in row] for row in sheet.iter_rows(values_only=True)],
        "types": sorted({cell.data_type for row in sheet.iter_rows() for cell in row if cell.value is not None}),
        "frozen": sheet.freeze_panes,
        "lists": sorted(str(rule.formula1) for rule in sheet.data_validations.dataValidation),
        "notes": sum(1 for cell in sheet[1] if cell.comment),
    }
    print(json.dumps(told))


def calendar(path):
    import icalendar

    with open(path, "rb") as file:
        found = icalendar.Calendar.from_ical(file.read())
    events = []
    for event in found.walk("VEVENT"):
        if event.errors:
            raise SystemExit(f"errors: {event.errors}")
        start = event.decoded("dtstart")
        exdates = event.get("exdate", [])
        exdates = exdates if isinstance(exdates, list) else [exdates]
        events.append(
            {
                "uid": str(event["uid"]),
                "summary": str(event["summary"]),
                "start": start.isoformat(),
                "zone": event["dtstart"].params.get("TZID"),
                "rule": event["rrule"].to_ical().decode() if "rrule" in event else None,
                "exdates": [one.dt.isoformat() for dates in exdates for one in dates.dts],
                "of": event.decoded("recurrence-id").isoformat() if "recurrence-id" in event else None,
                "seconds": int(event.duration.total_seconds()),
            }
        )
    zones = {str(zone["tzid"]): zone.to_tz().utcoffset(datetime.datetime(2031, 7, 1)).total_seconds() for zone in found.walk("VTIMEZONE")}
    print(json.dumps({"events": events, "zones": zones}))


{"write": write, "read": read, "calendar": calendar}[sys.argv[1]](sys.argv[2])
