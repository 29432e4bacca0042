interface Props {
  values: number[];
  /** The smallest height of the scale, so that noise does not look like a storm. */
  floor: number;
  label: string;
}

const WIDTH = 100;
const HEIGHT = 26;

export function Sparkline({ values, floor, label }: Props) {
  const top = Math.max(floor, ...values) * 1.15;
  const step = WIDTH / 39;
  const from = WIDTH - (values.length - 1) * step;
  const points = values.map((value, index) => `${(from + index * step).toFixed(1)},${(HEIGHT - (value / top) * HEIGHT).toFixed(1)}`);
  return (
    <svg className="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
      {points.length > 1 && (
        <>
          <polygon points={`${from.toFixed(1)},${HEIGHT} ${points.join(" ")} ${WIDTH},${HEIGHT}`} />
          <polyline points={points.join(" ")} vectorEffect="non-scaling-stroke" />
        </>
      )}
    </svg>
  );
}
