//! Numbers, sizes, lengths and times as people read them, in their language and zone.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::text::Locale;

const MONTHS: [[&str; 12]; 2] = [
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
    ["Jan", "Feb", "Mar", "Apr", "Mei", "Jun", "Jul", "Agu", "Sep", "Okt", "Nov", "Des"],
];

/// What a time looks like on a page: `iso` for machines, `text` in the reader's zone and language.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moment {
    /// RFC 3339 with the offset of the reader's zone.
    pub iso: String,
    /// `4 Nov 2025, 19:00 WIB`.
    pub text: String,
}

impl Moment {
    /// A time in a zone; the zone is named.
    pub fn new(time: Timestamp, zone: &TimeZone, locale: Locale) -> Moment {
        let local = time.to_zoned(zone.clone());
        let shortened = local.strftime("%Z").to_string();
        // Zones without a name of their own are numbers in the database.
        let named = if shortened.starts_with(['+', '-']) { format!("UTC{shortened}") } else { shortened };
        let day = date(locale, local.date());
        let text = match locale {
            Locale::En => format!("{day}, {:02}:{:02} {named}", local.hour(), local.minute()),
            Locale::Id => format!("{day} {:02}.{:02} {named}", local.hour(), local.minute()),
        };
        Moment { iso: local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(), text }
    }
}

/// `4 Nov 2025`.
pub fn date(locale: Locale, date: Date) -> String {
    let months = &MONTHS[usize::from(locale == Locale::Id)];
    let month = usize::try_from(date.month() - 1).ok().and_then(|month| months.get(month)).copied();
    format!("{} {} {}", date.day(), month.unwrap_or_default(), date.year())
}

/// `12,345.5`: at most two decimals, thousands set apart.
pub fn number(locale: Locale, number: f64) -> String {
    locale.number(number, 0, 2)
}

/// `1.2 GiB`: powers of 1024, as quotas are counted.
pub fn bytes(locale: Locale, number: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut number = number.max(0.0);
    let mut unit = 0;
    while number.round() >= 1024.0 && unit + 1 < UNITS.len() {
        number /= 1024.0;
        unit += 1;
    }
    let places = usize::from(unit > 0 && number < 100.0);
    format!("{} {}", locale.number(number, 0, places), UNITS[unit])
}

/// `2.5 Mbit/s`; the place after the point stays, since rates change while one looks.
pub fn bitrate(locale: Locale, bits: f64) -> String {
    if bits >= 1e6 {
        let places = usize::from(bits < 1e8);
        format!("{} Mbit/s", locale.number(bits / 1e6, places, places))
    } else {
        format!("{} kbit/s", locale.number(bits.max(0.0) / 1e3, 0, 0))
    }
}

/// `0:42`, `12:05`, `1:02:03`: the length of a video.
pub fn clock(seconds: f64) -> String {
    let seconds = seconds.max(0.0).round() as u64;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match hours {
        0 => format!("{minutes}:{:02}", seconds % 60),
        _ => format!("{hours}:{minutes:02}:{:02}", seconds % 60),
    }
}

/// `42 s`, `12 min`, `2 h 10 min`, `3 d 4 h`: how long something lasts, in its two largest units.
pub fn duration(locale: Locale, seconds: f64) -> String {
    let [day, hour, minute, second] = match locale {
        Locale::En => ["d", "h", "min", "s"],
        Locale::Id => ["hr", "jam", "mnt", "dtk"],
    };
    let seconds = seconds.max(0.0).round() as u64;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let pair = |large: u64, large_name: &str, small: u64, small_name: &str| match small {
        0 => format!("{large} {large_name}"),
        _ => format!("{large} {large_name} {small} {small_name}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} {second}"),
        (0, 0, 1..5) => pair(minutes, minute, seconds % 60, second),
        (0, 0, _) => format!("{minutes} {minute}"),
        (0, _, _) => pair(hours, hour, minutes, minute),
        _ => pair(days, day, hours, hour),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_rates_and_lengths_read_well() {
        assert_eq!(bytes(Locale::En, 0.0), "0 B");
        assert_eq!(bytes(Locale::En, 1536.0), "1.5 KiB");
        assert_eq!(bytes(Locale::En, 1024.0), "1 KiB");
        assert_eq!(bytes(Locale::En, 1000.0 * 1024.0 * 1024.0 * 1024.0), "1,000 GiB");
        assert_eq!(bytes(Locale::Id, 1000.0 * 1024.0 * 1024.0 * 1024.0), "1.000 GiB");
        assert_eq!(bytes(Locale::En, 1023.7 * 1024.0 * 1024.0), "1 GiB");
        assert_eq!(bytes(Locale::Id, 5.5 * 1024.0 * 1024.0 * 1024.0), "5,5 GiB");
        assert_eq!(bitrate(Locale::En, 2_480_000.0), "2.5 Mbit/s");
        assert_eq!(bitrate(Locale::Id, 2_000_000.0), "2,0 Mbit/s");
        assert_eq!(bitrate(Locale::En, 100_000_000.0), "100 Mbit/s");
        assert_eq!(bitrate(Locale::En, 128_000.0), "128 kbit/s");
        assert_eq!(clock(42.4), "0:42");
        assert_eq!(clock(3723.0), "1:02:03");
        assert_eq!(duration(Locale::En, 42.0), "42 s");
        assert_eq!(duration(Locale::En, 65.0), "1 min 5 s");
        assert_eq!(duration(Locale::En, 7200.0), "2 h");
        assert_eq!(duration(Locale::Id, 7800.0), "2 jam 10 mnt");
        assert_eq!(duration(Locale::En, 273_600.0), "3 d 4 h");
        assert_eq!(number(Locale::En, 1_234_567.5), "1,234,567.5");
        assert_eq!(number(Locale::Id, -12_345.0), "-12.345");
    }

    #[test]
    fn a_time_names_its_zone() {
        let time: Timestamp = "2025-05-04T12:00:00Z".parse().unwrap();
        let told = |zone: &str, locale| Moment::new(time, &TimeZone::get(zone).unwrap(), locale);
        assert_eq!(told("Asia/Jakarta", Locale::En).text, "4 May 2025, 19:00 WIB");
        assert_eq!(told("Asia/Jakarta", Locale::Id).text, "4 Mei 2025 19.00 WIB");
        assert_eq!(told("Asia/Jakarta", Locale::Id).iso, "2025-05-04T19:00:00+07:00");
        assert_eq!(told("Europe/Berlin", Locale::En).text, "4 May 2025, 14:00 CEST");
        assert_eq!(told("America/Sao_Paulo", Locale::En).text, "4 May 2025, 09:00 UTC-03");
    }
}
