"""What consumers type, and what they hope to find: judged by what each product is about, never by what we find.

A query names its subjects with a grade: 3 is what they look for, 2 helps, 1 is near it. Where it asks for a kind or a
region, products of the subject that are of another one are worth less; where it asks for none, the plain product is
worth most, and what is derived from it one less.
"""

from __future__ import annotations

from dataclasses import dataclass

from .mesh import Made


@dataclass(frozen=True)
class Query:
    """A query; `sort` is what is hard about it."""

    sort: str
    text: str
    wanted: dict[str, int]
    kind: str | None = None
    region: str | None = None

    def grade(self, made: Made) -> int:
        """Judge a product: 0 to 3."""
        grade = self.wanted.get(made.subject.key, 0)
        if not grade:
            return 0
        if self.kind or self.region:
            grade -= (self.kind is not None and made.kind != self.kind) + (
                self.region is not None and made.region != self.region
            )
        elif made.kind or made.region:
            grade -= 1
        return max(grade, 1)


def _of(sort: str, *rows: tuple[object, ...]) -> list[Query]:
    return [Query(sort, *row) for row in rows]  # type: ignore[arg-type]


QUERIES = (
    *_of(
        "words",
        ("flight delays", {"flight_delays": 3}),
        ("baggage", {"baggage": 3}),
        ("air quality", {"air_quality": 3}),
        ("exchange rates", {"exchange_rates": 3}),
        ("promotions", {"promotions": 3}),
        ("vaccination", {"vaccinations": 3, "livestock_health": 1}),
        ("invoice", {"invoices_out": 3}),
        ("bed occupancy", {"bed_occupancy": 3, "hospital_admissions": 1}),
        ("warehouse stock", {"warehouse_stock": 3, "store_inventory": 1}),
        ("crew roster", {"crew_roster": 3}),
        ("customer complaints", {"customer_complaints": 3, "support_tickets": 1}),
        ("soil sample", {"soil_samples": 3}),
    ),
    *_of(
        "phrases",
        ("stars that shoppers gave", {"product_reviews": 3}),
        ("why did employees leave", {"turnover": 3}),
        ("how late are flights", {"flight_delays": 3}),
        ("patients waiting in the emergency room", {"emergency_visits": 3}),
        ("money paid to suppliers", {"supplier_payments": 3, "supplier_terms": 1}),
        ("trucks speed and position", {"truck_telematics": 3, "tractor_fleet": 1}),
        ("number of people living in each district", {"population": 3}),
        ("goods damaged by carriers", {"damaged_goods": 3}),
        ("free parking spaces", {"parking": 3}),
        ("subscribers who cancelled", {"subscriber_churn": 3}),
        ("medicines prescribed", {"prescriptions": 3}),
        ("electricity produced by plants", {"power_generation": 3}),
        ("customers without power", {"grid_outages": 3}),
        ("cost of fuel for flights", {"fuel_uplift": 3}),
    ),
    *_of(
        "prefixes",
        ("baggag", {"baggage": 3}),
        ("vaccin", {"vaccinations": 3, "livestock_health": 1}),
        ("flight sched", {"flight_schedule": 3}),
        ("wind turb", {"wind_turbines": 3}),
        ("payro", {"payroll": 3}),
        ("customs decl", {"customs_declarations": 3}),
        ("irrig", {"irrigation": 3}),
        ("solv", {"solvency": 3}),
        ("employee surv", {"employee_survey": 3}),
        ("bill of mat", {"bill_of_materials": 3}),
    ),
    *_of(
        "slips",
        ("bagage", {"baggage": 3}),
        ("flihgt delays", {"flight_delays": 3}),
        ("custmer complaints", {"customer_complaints": 3, "support_tickets": 1}),
        ("vacinations", {"vaccinations": 3}),
        ("employes", {"employees": 3}),
        ("precriptions", {"prescriptions": 3}),
        ("warehose stock", {"warehouse_stock": 3, "store_inventory": 1}),
        ("maintainance aircraft", {"aircraft_maintenance": 3}),
        ("reinsurence", {"reinsurance": 3}),
        ("fertilizer", {"fertiliser": 3}),
        ("polution air", {"air_quality": 3}),
        ("exhange rate", {"exchange_rates": 3}),
    ),
    *_of(
        "columns",
        ("rotor_rpm", {"wind_turbines": 3}),
        ("icd_code", {"hospital_admissions": 3}),
        ("gross_salary", {"payroll": 3}),
        ("iban", {"supplier_payments": 3}),
        ("spot price", {"energy_prices": 3}),
        ("pm10", {"air_quality": 3}),
        ("isin", {"stock_portfolio": 3}),
        ("churn score", {"subscriber_churn": 3}),
        ("quantity on hand", {"store_inventory": 3}),
        ("discount percent", {"promotions": 3}),
        ("transaction amount", {"card_transactions": 3}),
        ("average temperature", {"weather_stations": 3}),
    ),
    *_of(
        "owners",
        ("store_operations", {"store_inventory": 3, "footfall": 3}),
        ("network planning", {"flight_schedule": 3, "airport_slots": 3}),
        ("treasury", {"exchange_rates": 3, "stock_portfolio": 1}),
        ("hygiene team", {"infections": 3}),
        ("agronomy", {"crop_yields": 3, "weather_stations": 3, "fertiliser": 3, "pesticides": 3}),
        ("recruiting", {"job_applications": 3}),
    ),
    *_of(
        "kinds and regions",
        ("daily orders", {"orders": 3}, "daily"),
        ("baggage germany", {"baggage": 3}, None, "germany"),
        ("payroll monthly usa", {"payroll": 3}, "monthly", "usa"),
        ("energy prices forecast", {"energy_prices": 3}, "forecast"),
        ("air quality anomalies", {"air_quality": 3}, "anomalies"),
        ("machine learning fraud", {"fraud_alerts": 3}, "training"),
        ("shipments dashboard", {"shipments": 3}, "kpi"),
        ("flight delays in france", {"flight_delays": 3}, None, "france"),
        ("lab results archive", {"lab_results": 3}, "archive"),
        ("nordics kpi support tickets", {"support_tickets": 3}, "kpi", "nordics"),
    ),
)
