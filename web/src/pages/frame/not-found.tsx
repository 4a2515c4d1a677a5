import { Link } from "@tanstack/react-router";
import { Empty } from "../../ui/states.tsx";

/** An address that leads nowhere. */
export function NotFound() {
  return (
    <section className="panel">
      <Empty title="There is no such page" command="tidegate change list">
        <p>
          {location.pathname} leads nowhere. <Link to="/changes">Go to the changes</Link>.
        </p>
      </Empty>
    </section>
  );
}
