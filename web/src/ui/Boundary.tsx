import { Component, type ReactNode } from "react";
import { Button, Empty } from "./parts";

/** A fault of one page is shown there; the frame and the other pages go on. */
export class Boundary extends Component<{ children: ReactNode }, { error: Error | null }> {
  state = { error: null as Error | null };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  render() {
    if (!this.state.error) return this.props.children;
    return (
      <div className="page">
        <Empty
          title="This page failed"
          action={<Button onClick={() => window.location.reload()}>Load it again</Button>}
        >
          {this.state.error.message}
        </Empty>
      </div>
    );
  }
}
