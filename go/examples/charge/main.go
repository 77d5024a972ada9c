// Makes a charge with what the environment says.
package main

import (
	"context"
	"fmt"
	"os"

	pay88 "github.com/pay88/pay88/go"
)

func main() {
	manager, err := pay88.New(pay88.Config{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer manager.Close()
	charge := map[string]any{"flow": "PAYIN", "method_code": "CARDS", "amount": 50000, "currency": "COP", "country": "COL"}
	answer, err := manager.Do(context.Background(), &pay88.Request{Method: "POST", Endpoint: "/api/transactions/charges", JSON: charge})
	if err == nil {
		err = answer.Err()
	}
	var payment struct{ Data struct{ Reference string } }
	if err == nil {
		err = answer.JSON(&payment)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(answer.StatusCode, payment.Data.Reference)
}
