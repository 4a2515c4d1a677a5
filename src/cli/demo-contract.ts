/** What flights promise: the demo's contract, as somebody would write it. */
export const flightsContract = `apiVersion: v3.1.0
kind: DataContract
id: demo-flights
version: 1.0.0
status: active
schema:
  - name: demo.flights
    logicalType: object
    physicalType: table
    properties:
      - name: date
        logicalType: string
        physicalType: string
        required: true
      - name: delay
        logicalType: integer
        physicalType: long
        required: true
      - name: distance
        logicalType: integer
        physicalType: long
        required: true
        logicalTypeOptions:
          minimum: 1
          maximum: 6000
      - name: origin
        logicalType: string
        physicalType: string
        required: true
        relationships:
          - to: demo.airports.iata
      - name: destination
        logicalType: string
        physicalType: string
        required: true
`;

/** The mart that the board reads: what flights make of airports. */
export const delaysSql = `select f.origin, a.city, count(*) as flights, round(avg(f.delay), 1) as delay
from demo.flights f join demo.airports a on a.iata = f.origin
group by f.origin, a.city`;

/** What the board shows, as a test of it. */
export const boardSql = "select sum(flights) as flights from demo.delays_by_airport";
