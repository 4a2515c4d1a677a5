import { lightSuite } from "./light-suite.ts";

lightSuite({ part: 1, of: 2 });
