const prices={apple:1.2,  pear:0.8}
export function total(basket){ return basket.reduce((sum,item)=>sum+prices[item],0) }
